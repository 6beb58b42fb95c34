package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// versions is the host's directory of versions, for --etcd, with these in it.
func (h *host) versions(list ...string) string {
	h.r.t.Helper()
	dir := filepath.Join(h.r.dir, h.name+"-versions")
	must(h.r.t, os.MkdirAll(dir, 0o700))
	for _, v := range list {
		etcdbin.Add(h.r.t, dir, v)
	}
	return dir
}

// runs waits until the hosts' etcds are of that version.
func (r *rig) runs(limit time.Duration, version string, names ...string) {
	r.t.Helper()
	for _, n := range names {
		r.eventually(limit, n+" runs etcd "+version, func() error {
			rep, err := r.nodes[n].report()
			if err == nil && !strings.HasPrefix(rep.Etcd.Version, version) {
				err = fmt.Errorf("it runs %s: %s %s", rep.Etcd.Version, rep.Reason, rep.LastError)
			}
			return err
		})
	}
}

// fails waits until the host's last error holds the text.
func (h *host) fails(limit time.Duration, text string) {
	h.r.t.Helper()
	h.r.eventually(limit, h.name+" fails with "+text, func() error {
		rep, err := h.report()
		if err == nil && !strings.Contains(rep.LastError, text) {
			err = fmt.Errorf("%s %s", rep.Reason, rep.LastError)
		}
		return err
	})
}

// formedAs is three voters of a version, each with a directory of versions.
func formedAs(t *testing.T, version string, flags ...string) (r *rig, a, b, c *host) {
	t.Helper()
	r = newRig(t)
	a, b, c = r.trio()
	for _, h := range []*host{a, b, c} {
		h.start(append([]string{"--etcd", h.versions(version)}, flags...)...)
	}
	r.voters(60*time.Second, "a", "b", "c")
	r.runs(10*time.Second, version, "a", "b", "c")
	return r, a, b, c
}

// TestJoinersRunWhatTheClusterRuns: however new an etcd a node has, it runs on
// as what ran, and a newcomer as what the cluster runs, or one minor up.
func TestJoinersRunWhatTheClusterRuns(t *testing.T) {
	t.Parallel()
	r, a, _, c := formedAs(t, etcdbin.V35)
	r.put(r.client("a"), "k", "v")
	a.versions(etcdbin.V36, etcdbin.V37)
	pid := a.etcdPID()
	a.killEtcd()
	a.restarted(pid)
	r.voters(40*time.Second, "a", "b", "c")
	r.runs(10*time.Second, etcdbin.V35, "a")
	r.eventually(30*time.Second, "a tells what it could run", func() error {
		rep, err := a.report()
		if err == nil && fmt.Sprint(rep.Offers) != "[3.5.33 3.6.14 3.7.3]" {
			err = fmt.Errorf("offers %v", rep.Offers)
		}
		return err
	})

	d, e := r.machine("d", 14), r.machine("e", 15)
	c.crash()
	r.list("a", "b", "d")
	d.start("--etcd", d.versions(etcdbin.V35, etcdbin.V36, etcdbin.V37))
	r.voters(60*time.Second, "a", "b", "d")
	r.runs(10*time.Second, etcdbin.V35, "d")

	d.crash()
	r.list("a", "b", "e")
	e.start("--etcd", e.versions(etcdbin.V37))
	e.says(60*time.Second, "the cluster runs etcd 3.5.33, and --etcd offers 3.7.3: a joiner runs the cluster's minor, or the next")
	if pid := e.etcdPID(); pid != 0 {
		t.Errorf("an etcd runs, pid %d", pid)
	}
	e.versions(etcdbin.V36) // nobody restarts the agent
	r.voters(60*time.Second, "a", "b", "e")
	r.runs(10*time.Second, etcdbin.V36, "e")
	r.wantValue(r.client("e"), "k", "v")
}

// TestAnotherEtcdInItsPlace: an etcd that was replaced on the disk, as by a new
// quorate, is nobody's reason to stop the one that runs; a start takes what is
// there, one minor up at most and never down.
func TestAnotherEtcdInItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	link := filepath.Join(r.dir, "etcd-link")
	replace := func(version string) {
		must(t, os.Symlink(etcdbin.Etcd(t, version), link+".new"))
		must(t, os.Rename(link+".new", link))
	}
	replace(etcdbin.V35)
	a.start("--etcd", link)
	r.voters(60*time.Second, "a")
	r.put(r.client("a"), "k", "v")
	pid := a.etcdPID()
	a.killAgent()
	replace(etcdbin.V36)
	a.start("--etcd", link)
	a.stays(3, "runs on", func(rep cluster.Report) error {
		if rep.Etcd.Version != "" && (rep.Etcd.Version != etcdbin.V35 || rep.Etcd.PID != pid) {
			return fmt.Errorf("runs %s", rep.Etcd.Version)
		}
		return nil
	})
	r.voters(40*time.Second, "a")

	crash := func() { // the data stays
		t.Helper()
		pid = a.etcdPID()
		a.killEtcd()
	}
	crash()
	r.voters(60*time.Second, "a")
	r.runs(20*time.Second, etcdbin.V36, "a")

	r.eventually(120*time.Second, "the log that 3.5 began is written past", func() error {
		rep, err := a.report()
		if err == nil && rep.Elder != "" {
			err = errors.New(rep.Elder)
		}
		return err
	})
	replace(etcdbin.V35)
	crash()
	a.fails(60*time.Second, "no etcd is started: etcd 3.6.14 ran last on this data, and --etcd offers 3.5.33: neither its minor nor the next")
	replace(etcdbin.V37)
	r.runs(60*time.Second, etcdbin.V37, "a")
	r.voters(60*time.Second, "a")
	r.wantValue(r.client("a"), "k", "v")
}

// TestVersion34: what stups left runs under quorate too, and what stands in the
// way of its upgrade is told.
func TestVersion34(t *testing.T) {
	t.Parallel()
	r, _, b, c := formedAs(t, etcdbin.V34, "--", "--enable-v2")
	writes := r.load(r.client("a"), "w/", 3*time.Second)
	b.crash()
	b.start("--etcd", b.versions(), "--", "--enable-v2")
	r.voters(60*time.Second, "a", "b", "c")
	d := r.machine("d", 14)
	r.list("a", "b", "d")
	c.crash()
	d.start("--etcd", d.versions(etcdbin.V34), "--", "--enable-v2")
	r.voters(60*time.Second, "a", "b", "d")
	writes.end()
	r.wantAcked(r.client("d"), writes, "w/")

	d.wantV2("")
	resp, err := http.PostForm(d.url(2379)+"/v2/keys/queue", url.Values{"value": {"x"}})
	must(t, err)
	resp.Body.Close()
	d.wantV2("the log holds writes to the v2 store since its last snapshot: POST /1/queue")
	d.versions(etcdbin.V36)
	r.eventually(40*time.Second, "d says that 3.6 does not know the flag", func() error {
		rep, err := d.report()
		if text := strings.Join(rep.Unfit, "\n"); err == nil && (!strings.Contains(text, "etcd 3.6.14") || !strings.Contains(text, "unknown flag --enable-v2")) {
			err = fmt.Errorf("unfit: %q", text)
		}
		return err
	})
}

// wantV2 waits for what the host tells of its v2 store.
func (h *host) wantV2(want string) {
	h.r.t.Helper()
	h.r.eventually(40*time.Second, h.name+" tells of the v2 store", func() error {
		rep, err := h.report()
		if err == nil && rep.V2 != want {
			err = errors.New(rep.V2)
		}
		return err
	})
}
