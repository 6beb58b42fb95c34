package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/clustertest/process"
)

// aside are the data directories that the host has set aside.
func (h *host) aside() []string {
	h.r.t.Helper()
	found, err := filepath.Glob(filepath.Join(h.dataDir(), "aside", "*"))
	must(h.r.t, err)
	return found
}

// wantAside wants exactly one, named by that label and a date, with a database.
func (h *host) wantAside(label string) {
	h.r.t.Helper()
	found := h.aside()
	if len(found) != 1 || !strings.HasPrefix(filepath.Base(found[0]), label+"-2") {
		h.r.t.Errorf("%s has set aside %q, want one %s-DATE", h.name, found, label)
		return
	}
	if _, err := os.Stat(filepath.Join(found[0], "member", "snap", "db")); err != nil {
		h.r.t.Errorf("what %s has set aside is no data: %v", h.name, err)
	}
}

// pause stops agent and etcd where they are, as a frozen machine does.
func (h *host) pause() (wake func()) {
	h.r.t.Helper()
	pid := h.etcdPID()
	process.Pause(h.r.t, h.agent.Process)
	etcd, err := os.FindProcess(pid)
	must(h.r.t, err)
	process.Pause(h.r.t, etcd)
	return func() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
		h.signal(syscall.SIGCONT)
	}
}

// reader reads one key from one host until the test ends it, and counts what
// it was told.
type reader struct {
	stop     context.CancelFunc
	done     sync.WaitGroup
	old, new atomic.Int64
}

func (r *rig) reads(h *host, key, old string, opts ...clientv3.OpOption) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	w := &reader{stop: cancel}
	c := r.client(h.name)
	w.done.Go(func() {
		for ctx.Err() == nil {
			call, done := context.WithTimeout(ctx, 300*time.Millisecond)
			got, err := c.Get(call, key, opts...)
			done()
			switch {
			case err != nil || len(got.Kvs) == 0:
			case string(got.Kvs[0].Value) == old:
				w.old.Add(1)
			default:
				w.new.Add(1)
			}
			time.Sleep(2 * time.Millisecond) // leaves the processor to others
		}
	})
	return w
}

func (w *reader) end() { w.stop(); w.done.Wait() }

// TestForeignData: data that is not this cluster's is neither served nor
// touched, and the agent says whose it is.
func TestForeignData(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(30*time.Second, "a")
	r.put(r.client("a"), "mine", "1")
	id := r.oneCluster("a")
	a.term()
	stamp := filepath.Join(a.dataDir(), "etcd", "quorate.json")
	kept, err := os.ReadFile(stamp)
	must(t, err)
	store := r.store
	other := "file://" + filepath.Join(r.dir, "other-store") + "?create_dir=true"

	t.Run("another --cluster", func(t *testing.T) {
		a.start("--cluster", "elsewhere")
		a.refuses(t, "the data belongs to another cluster", "its stamp says test, --cluster says elsewhere")
	})
	t.Run("another etcd cluster id", func(t *testing.T) {
		must(t, os.Remove(stamp)) // as data that quorate has not made
		defer func() { must(t, os.WriteFile(stamp, kept, 0o600)) }()
		a.start()
		a.refuses(t, "the data belongs to another cluster", "etcd cluster id "+id.String())
	})
	t.Run("another founding of the same name", func(t *testing.T) {
		r.store = other
		defer func() { r.store = store }()
		b := r.machine("b", 12)
		r.list("b")
		b.start()
		r.voters(30*time.Second, "b")
		a.start()
		a.refuses(t, "the data belongs to another founding of this cluster", "token test-1-")
		b.term()
	})
	r.list("a")
	a.start()
	r.voters(30*time.Second, "a")
	r.wantValue(r.client("a"), "mine", "1")
	if found := a.aside(); len(found) != 0 {
		t.Errorf("set aside: %q", found)
	}
}

// refuses wants the reason to stand, and nothing to serve; then it ends the agent.
func (h *host) refuses(t *testing.T, reason, detail string) {
	t.Helper()
	h.holds(20*time.Second, reason, 8)
	r, err := h.report()
	must(t, err)
	if !strings.HasPrefix(r.Reason, "refuse: ") || !strings.Contains(r.Reason, detail) {
		t.Errorf("says %q, want refuse: …%s", r.Reason, detail)
	}
	if r.Etcd.Running || h.etcdPID() != 0 {
		t.Error("etcd runs")
	}
	h.term()
}
