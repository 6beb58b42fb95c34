package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// tree is every file of a directory and what is in it.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&all, "%s %x\n", name, tallyOf(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func tallyOf(data []byte) string {
	sum := newTally()
	sum.Write(data)
	return sum.sum()
}

// writeUntilKilled writes from many clients and kills etcd in the middle of it.
// It returns the keys whose write was acknowledged.
func writeUntilKilled(t *testing.T, n *node, c *clientv3.Client, enough int64) []string {
	t.Helper()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		acked []string
		count atomic.Int64
	)
	reached := make(chan struct{})
	for w := range 32 {
		all.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("w%02d/%06d", w, i)
				if _, err := c.Put(t.Context(), key, key); err != nil {
					return
				}
				mu.Lock()
				acked = append(acked, key)
				mu.Unlock()
				if count.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	<-reached
	n.kill()
	c.Close() // ends the writers that wait for an answer
	all.Wait()
	return acked
}

// A survivor killed in the middle of its writes, of a cluster of three whose
// other two are gone, seeds a new cluster with every write that it knows.
func TestSeedFromSurvivorLosesNothing(t *testing.T) {
	old := []*node{newNode(t, "x", "127.0.0.86"), newNode(t, "y", "127.0.0.87"), newNode(t, "z", "127.0.0.88")}
	for _, n := range old {
		n.start(t, "--initial-cluster="+initialCluster(old...), "--initial-cluster-token=old")
	}
	survivor := old[0]
	c := survivor.connect(t)
	awaitServing(t, c)
	state, err := liveSource{c}.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lease, err := c.Grant(t.Context(), 4000)
	if err != nil {
		t.Fatal(err)
	}
	acked := writeUntilKilled(t, survivor, c, 2000)
	old[1].kill()
	old[2].kill()
	before := tree(t, survivor.dir)

	founder := newNode(t, "a", "127.0.0.89")
	scratch := filepath.Join(t.TempDir(), "scratch")
	into := founder.target([]*node{founder})
	t.Setenv("ETCD_NAME", "an operator's, which must not reach it")
	if err := SeedFromSurvivor(t.Context(), Survivor{Etcd: etcdCommand(t), DataDir: survivor.dir, Scratch: scratch, Target: into}); err != nil {
		t.Fatal(err)
	}
	if err := os.Unsetenv("ETCD_NAME"); err != nil {
		t.Fatal(err)
	}
	if tree(t, survivor.dir) != before {
		t.Error("the survivor's disk was changed")
	}
	wantOnly(t, filepath.Dir(scratch))

	founder.start(t)
	fresh := founder.connect(t)
	awaitServing(t, fresh)
	checkSeeded(t, fresh, acked, lease.ID)
	now, err := liveSource{fresh}.Status(t.Context())
	if err != nil || now.ClusterID == state.ClusterID || now.Revision < testBump {
		t.Errorf("state %+v, %v; the cluster was %v", now, err, state.ClusterID)
	}
	events := <-fresh.Watch(t.Context(), "w", clientv3.WithPrefix(), clientv3.WithRev(state.Revision+1))
	if !errors.Is(events.Err(), rpctypes.ErrCompacted) {
		t.Errorf("an old watcher hears %v", events.Err())
	}
}

func checkSeeded(t *testing.T, c *clientv3.Client, acked []string, lease clientv3.LeaseID) {
	t.Helper()
	got := dump(t, c)
	lost := 0
	for _, key := range acked {
		if _, ok := got[key]; !ok {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
	if ttl, err := c.TimeToLive(t.Context(), lease); err != nil || ttl.GrantedTTL != 4000 {
		t.Errorf("lease %+v, %v", ttl, err)
	}
}

// stopped makes the data directory of a member that has run and ended.
func stopped(t *testing.T) string {
	t.Helper()
	n := newNode(t, "x", "127.0.0.86")
	n.start(t, "--initial-cluster="+initialCluster(n))
	c := n.connect(t)
	awaitServing(t, c)
	n.kill()
	return n.dir
}

func TestAFailedSeedLeavesNothing(t *testing.T) {
	dir := stopped(t)
	script := func(body string) []string {
		name := filepath.Join(t.TempDir(), "etcd.sh")
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return []string{name}
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	tests := map[string]struct {
		ctx  context.Context
		etcd []string
		want string
	}{
		"no such binary":   {ctx: t.Context(), etcd: []string{"/nowhere/etcd"}, want: "no such file"},
		"no binary":        {ctx: t.Context(), want: "no etcd"},
		"ends at once":     {ctx: t.Context(), etcd: script("echo so it is >&2; exit 3"), want: "so it is"},
		"never serves":     {ctx: ctx, etcd: script("echo $$ > " + pidFile + "; exec sleep 1000"), want: "context canceled"},
		"ended beforehand": {ctx: ctx, etcd: etcdCommand(t), want: "context canceled"},
	}
	go func() { // gives up on it once it has started
		defer cancel()
		again := time.NewTicker(lookEvery)
		defer again.Stop()
		for range again.C {
			if data, err := os.ReadFile(pidFile); err == nil && len(data) > 0 || t.Context().Err() != nil {
				return
			}
		}
	}()
	for _, name := range []string{"no such binary", "no binary", "ends at once", "never serves", "ended beforehand"} {
		tt := tests[name]
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			n := &node{name: "a", peer: "http://127.0.0.89:1", dir: filepath.Join(base, "a.etcd")}
			before := tree(t, dir)
			err := SeedFromSurvivor(tt.ctx, Survivor{Etcd: tt.etcd, DataDir: dir, Scratch: filepath.Join(base, "scratch"), Target: n.target([]*node{n})})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			wantOnly(t, base)
			if tree(t, dir) != before {
				t.Error("the survivor's disk was changed")
			}
		})
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("process %s is still there: %v", pid, err)
	}
}

// A log that etcd did not apply to its end is refused.
func TestHoldsAsksForTheWholeLog(t *testing.T) {
	db := filepath.Join(stopped(t), "member", "snap", "db")
	if err := holds(db, 1); err != nil {
		t.Error(err)
	}
	if err := holds(db, 1<<40); err == nil {
		t.Error("a database holds entries that were never written")
	}
}
