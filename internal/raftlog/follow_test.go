package raftlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/etcd"
)

// TestFollowsRealMembers: the logs of three members under load are followed
// through cuts, kills of the leader and of others, a leader whose tail loses,
// and changes of the membership. All three yield the same entries, without a
// gap, and they are what etcd itself reads in the end.
func TestFollowsRealMembers(t *testing.T) {
	members := []*member{newMember(t, "a", "127.0.3.11"), newMember(t, "b", "127.0.3.12"), newMember(t, "c", "127.0.3.13")}
	initial := ""
	for _, m := range members {
		initial += "," + m.name + "=" + m.peer()
	}
	for _, m := range members {
		m.start(etcd.Start{State: etcd.StateNew, InitialCluster: initial[1:], Token: "raftlog"})
	}
	leader(t, members)
	ctx, stop := context.WithCancel(t.Context())
	var followers sync.WaitGroup
	for _, m := range members {
		followers.Go(func() {
			if err := m.follow(ctx); err != nil {
				t.Errorf("following %s: %v", m.name, err)
			}
		})
	}
	writing, rest := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var done atomic.Int64
	c := dial(t, members...)
	for i := range 8 {
		writers.Go(func() { load(writing, c, i, &done) })
	}
	written := func(n int64) {
		t.Helper()
		for until := done.Load() + n; done.Load() < until; { // however slowly
			before := done.Load()
			eventually(t, "more is written", func() error {
				if done.Load() == before {
					return fmt.Errorf("%d of %d", before, until)
				}
				return nil
			})
		}
	}
	written(3000)
	for round := range 2 {
		l := leader(t, members)
		l.kill()
		written(500)
		l.start(etcd.Start{})
		written(500)
		loseTail(t, members)
		written(500)
		if _, err := c.MemberAddAsLearner(t.Context(), []string{fmt.Sprintf("http://127.0.3.99:%d", 4000+round)}); err == nil {
			removeLearner(t, c)
		}
	}
	rest()
	writers.Wait()
	want := settled(t, members)
	stop()
	followers.Wait()
	t.Logf("%d writes, %d entries", done.Load(), want)
	compare(t, members, want)
}

func dial(t *testing.T, members ...*member) *clientv3.Client {
	t.Helper()
	var urls []string
	for _, m := range members {
		urls = append(urls, m.client.Endpoint())
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// loseTail has a leader write entries that nobody else gets, and ends it: when
// it comes back, another leader's entries take their place.
func loseTail(t *testing.T, members []*member) {
	t.Helper()
	l := leader(t, members)
	before := tailIndex(t, l)
	for _, m := range members {
		if m != l {
			m.pause()
		}
	}
	c := dial(t, l)
	var proposals sync.WaitGroup
	for i := range 20 {
		proposals.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, _ = c.Put(ctx, "lost", fmt.Sprint(i))
		})
	}
	proposals.Wait()
	l.kill()
	if after := tailIndex(t, l); after <= before {
		t.Errorf("the leader's log did not grow while it was alone: %d, then %d", before, after)
	}
	for _, m := range members {
		if m != l {
			m.signal(unix.SIGCONT)
		}
	}
	l.start(etcd.Start{})
	leader(t, members)
}

// tailIndex is the last index in a member's file.
func tailIndex(t *testing.T, m *member) uint64 {
	t.Helper()
	return etcd.ReadDisk(m.dir, m.cfg.DataDir).Index
}

func removeLearner(t *testing.T, c *clientv3.Client) {
	t.Helper()
	eventually(t, "the learner is removed", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, m := range list.Members {
			if m.IsLearner {
				_, err = c.MemberRemove(ctx, m.ID)
				return errors.Join(err, errors.New("removed just now"))
			}
		}
		return nil
	})
}

// settled waits until all members have applied the same and every reader has
// yielded it.
func settled(t *testing.T, members []*member) (index uint64) {
	t.Helper()
	eventually(t, "all is read", func() error {
		index = 0
		for _, m := range members {
			s, err := m.client.Status(t.Context())
			if err != nil {
				return err
			}
			if index == 0 {
				index = s.Applied
			}
			if n := m.count(); s.Applied != index || uint64(n) < index {
				return fmt.Errorf("%s: applied %d, yielded %d, want %d", m.name, s.Applied, n, index)
			}
		}
		return nil
	})
	return index
}

func compare(t *testing.T, members []*member, want uint64) {
	t.Helper()
	truth := readAll(t, members[0])
	for _, m := range members {
		for i := range want {
			e := m.got[i]
			if e.GetIndex() != i+1 {
				t.Fatalf("%s: entry %d is of index %d", m.name, i+1, e.GetIndex())
			}
			if truth[e.GetIndex()] != nil && !proto.Equal(e, truth[e.GetIndex()]) {
				t.Fatalf("%s: yielded %v, etcd has %v", m.name, e, truth[e.GetIndex()])
			}
			if !proto.Equal(e, members[0].got[i]) {
				t.Fatalf("%s yielded %v, %s %v", m.name, e, members[0].name, members[0].got[i])
			}
		}
	}
}

// readAll is what etcd's own package reads, once the member has ended.
func readAll(t *testing.T, m *member) map[uint64]*raftpb.Entry {
	t.Helper()
	m.kill()
	w, err := wal.OpenForRead(zap.NewNop(), m.walDir(), &walpb.Snapshot{Index: proto.Uint64(0), Term: proto.Uint64(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, _, ents, err := w.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64]*raftpb.Entry{}
	for _, e := range ents {
		all[e.GetIndex()] = e
	}
	if len(all) < 3000 {
		t.Fatalf("etcd reads only %d entries", len(all))
	}
	return all
}
