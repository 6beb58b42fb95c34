package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// raw starts a real etcd without an agent, and waits until it leads or, as a
// learner, follows.
func (r *rig) raw(name, host string, s etcd.Start) *etcd.Client {
	r.t.Helper()
	dir := filepath.Join(r.dir, name)
	cfg := etcd.Config{Name: name, DataDir: filepath.Join(dir, "etcd"), AdvertiseHost: host, ClientPort: 2379, PeerPort: 2380}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	runs := r.offers.Newest()
	args := etcd.Args(runs.Version, cfg, s)
	p, err := etcd.Launch(dir, runs.Binary, args, etcd.Env(nil, args))
	if err != nil {
		r.t.Fatal(err)
	}
	c := etcd.Dial("http://"+host+":2379", etcd.TLSFiles{}, etcd.Credentials{})
	r.t.Cleanup(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.wait(name+" answers", 20*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		st, err := c.Status(ctx)
		return err == nil && st.Leader != 0
	})
	return c
}

// invited adds a learner for the URL.
func (r *rig) invited(c *etcd.Client, peerURL string) cluster.MemberID {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	id, _, err := c.AddLearner(ctx, peerURL)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestVouched: a joiner starts only when every member that answers lists it as
// it was invited. An etcd of another history stands for a member that is behind:
// real etcd would take the joiner's id from whichever answers first.
func TestVouched(t *testing.T) {
	const ours = "http://127.0.2.43:2380"
	r := newRig(t)
	found := func(name, host string) *etcd.Client {
		return r.raw(name, host, etcd.Start{State: etcd.StateNew, InitialCluster: name + "=http://" + host + ":2380", Token: name})
	}
	m, old := found("m", "127.0.2.41"), found("old", "127.0.2.42")
	id := r.invited(m, ours)
	const withM, withOld = "j=" + ours + ",m=http://127.0.2.41:2380", "j=" + ours + ",m=http://127.0.2.41:2380,old=http://127.0.2.42:2380"
	const withSilent = withM + ",s=http://127.0.2.44:2380"
	a := r.joiner("127.0.2.43")
	check := func(what, initial string, invitedAs cluster.MemberID, want string) {
		t.Helper()
		err := a.vouched(context.Background(), plan.StartEtcd{State: etcd.StateExisting, Initial: initial, Spends: invitedAs.String()})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case want != "" && (!errors.Is(err, errUnlisted) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want …%s…", what, err, want)
		}
	}
	check("all list us", withM, id, "")
	check("a silent one does not count", withSilent, id, "")
	check("nobody answers", "j="+ours+",s=http://127.0.2.44:2380", id, "none of http://127.0.2.44:2380 answers")
	check("another id", withM, id+1, "as member "+id.String())
	check("one has not heard of us", withOld, id, "http://127.0.2.42:2380 knows none")
	added := time.Now().Unix()
	r.wait("etcd would hash another id from the time", 5*time.Second, func() bool { return time.Now().Unix() > added })
	spent := r.invited(old, ours)
	check("one lists what a lost disk has spent", withOld, id, "as member "+spent.String())

	// The whole step: no start, and nothing spent.
	err := a.do(context.Background(), plan.Observation{Now: time.Now()}, plan.StartEtcd{State: etcd.StateExisting, Initial: withOld, Token: "t", Spends: id.String()})
	if !errors.Is(err, errUnlisted) || a.proc != nil {
		t.Errorf("started over a member that is behind: %v", err)
	}
	if d := a.disks.Read(); d.State != cluster.DiskEmpty || len(d.Spent) > 0 {
		t.Errorf("the disk is %s and has spent %v", d.State, d.Spent)
	}

	r.raw("j", "127.0.2.43", etcd.Start{State: etcd.StateExisting, InitialCluster: withM, Token: "m"})
	r.wait("the member has said its name", 20*time.Second, func() bool {
		p, err := etcd.ProbePeerPort(context.Background(), "http://127.0.2.41:2380", etcd.TLSFiles{})
		j, _ := cluster.ByID(p.Members, id)
		return err == nil && j.Started()
	})
	check("the entry is used already", withM, id, "has started already")
}
