package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestFillToQuota: clients overwrite keys until etcd takes no more writes. What
// is old is forgotten, the members defragment, and the alarm goes: writes are
// blocked for --compaction-keep and what the members take to free it. More than
// half of the quota is in use before, so that what is overwritten fills the rest
// faster than it is forgotten, on a slow disk too.
func TestFillToQuota(t *testing.T) {
	t.Parallel()
	const keep = 30 * time.Second
	r, _, _, _ := formed(t, "--compaction-keep", keep.String(), "--", "--quota-backend-bytes=33554432")
	c := r.client("a", "b", "c")
	for i := range 72 { // 18 MiB
		r.eventually(time.Minute, "a write", func() error { return putMany(context.Background(), c, fmt.Sprint("used", i)) })
	}
	for again := 0; !strings.Contains(r.logs(), "old revisions are forgotten"); again++ {
		if again == 5 { // gaps in the databases may be room enough at first
			t.Fatal("the quota is full again and again, and nothing is forgotten")
		}
		r.fillsUp(c)
		took := r.eventually(2*keep, "a write is taken again", func() error { return putMany(context.Background(), c, "after") })
		t.Logf("blocked for %s, with --compaction-keep %s", took.Round(10*time.Millisecond), keep)
	}
	r.eventually(30*time.Second, "no alarm stands", func() error {
		yes, err := r.alarmStands(c)
		if yes {
			err = errors.New("one does")
		}
		return err
	})
}

// fillsUp overwrites keys until there is no space.
func (r *rig) fillsUp(c *clientv3.Client) {
	r.t.Helper()
	lifted := strings.Count(r.logs(), "DisarmAlarm")
	load := overwrite(r.t, c)
	r.advances(time.Minute, "the quota is full", load.filled)
	load.work.Wait()
	r.eventually(30*time.Second, "an alarm stands, or did", func() error {
		yes, err := r.alarmStands(c)
		if yes || strings.Count(r.logs(), "DisarmAlarm") > lifted {
			return nil
		}
		return fmt.Errorf("no alarm: %v", err)
	})
}

func (r *rig) alarmStands(c *clientv3.Client) (bool, error) {
	ctx, cancel := brief()
	defer cancel()
	list, err := c.AlarmList(ctx)
	return err == nil && len(list.Alarms) > 0, err
}

// mostOverwritten is after how many writes there is something wrong with a quota
// that they do not fill.
const mostOverwritten = 2000

// overwriting is four writers, each on keys of its own, until one is refused for
// lack of space.
type overwriting struct {
	work sync.WaitGroup

	mu    sync.Mutex
	taken int // writes
	full  bool
}

func overwrite(t testing.TB, c *clientv3.Client) *overwriting {
	o := &overwriting{}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); o.work.Wait() })
	for w := range 4 {
		o.work.Go(func() {
			for ctx.Err() == nil && o.goesOn() {
				o.note(putMany(ctx, c, fmt.Sprint("again", w)))
			}
		})
	}
	return o
}

func (o *overwriting) goesOn() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.full && o.taken < mostOverwritten
}

func (o *overwriting) note(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		o.taken++
	case errors.Is(err, rpctypes.ErrNoSpace):
		o.full = true
	}
}

// filled says how many writes were taken until one was refused.
func (o *overwriting) filled() (taken int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.full {
		err = errors.New("not full yet")
	}
	return o.taken, err
}

// putMany puts 256 KiB under eight keys in one write: it costs a slow disk no more
// than a small one, and leaves few gaps in the database.
func putMany(ctx context.Context, c *clientv3.Client, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var puts []clientv3.Op
	for i := range 8 {
		puts = append(puts, clientv3.OpPut(fmt.Sprint(prefix, "/", i), strings.Repeat("x", 32<<10)))
	}
	_, err := c.Txn(ctx).Then(puts...).Commit()
	return err
}

func put(ctx context.Context, c *clientv3.Client, key, value string) (*clientv3.PutResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.Put(ctx, key, value)
}

// TestFullForGood: what fills the quota is in use. The keeper says so, and the
// alarm stays until somebody deletes something.
func TestFullForGood(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formed(t, "--compaction-keep", "2s", "--", "--quota-backend-bytes=33554432")
	c := r.client("a", "b", "c")
	value := strings.Repeat("x", 512<<10)
	n := 0
	r.eventually(2*time.Minute, "a keeper says that nothing more can be freed", func() error {
		if _, err := put(context.Background(), c, fmt.Sprint("big", n), value); err == nil {
			n++ // what is freed is filled again
		}
		rep, err := r.leader("a", "b", "c").report()
		if err == nil && !strings.Contains(rep.Reason, "etcd has no space, and nothing more to forget") {
			err = errors.New(rep.Reason)
		}
		return err
	})
	ctx, cancel := brief()
	defer cancel()
	_, err := c.Delete(ctx, "big", clientv3.WithPrefix())
	must(t, err)
	r.eventually(time.Minute, "a write is taken", func() error {
		_, err := put(context.Background(), c, "k", "v")
		return err
	})
}

// TestDefragmentTurn: a database of which most is deleted is defragmented, on
// every member, the etcds stopped one after the other; nobody loses anything.
func TestDefragmentTurn(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, "--compaction-keep", "2s")
	client := r.client("a", "b", "c")
	value := strings.Repeat("x", 1<<20)
	for i := range 120 {
		r.put(client, fmt.Sprint("big", i), value)
	}
	r.put(client, "kept", "1")
	ctx, cancel := brief()
	defer cancel()
	_, err := client.Delete(ctx, "big", clientv3.WithPrefix())
	must(t, err)
	r.eventually(3*time.Minute, "every database is small", func() error {
		r.put(client, "again", "v") // time passes in revisions too
		for _, h := range []*host{a, b, c} {
			rep, err := h.report()
			switch {
			case err != nil:
				return err
			case !rep.Ready || rep.Etcd.DBSize > 20<<20:
				return fmt.Errorf("%s: %d MB, %s", h.name, rep.Etcd.DBSize>>20, rep.Reason)
			}
		}
		return nil
	})
	if n := strings.Count(r.logs(), "msg=defragmented"); n != 3 {
		t.Errorf("%d databases have been defragmented, want 3", n)
	}
	r.voters(30*time.Second, "a", "b", "c")
	r.wantValue(client, "kept", "1")
}
