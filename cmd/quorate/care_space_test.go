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
// blocked for less than --compaction-keep and what the members take to free it.
func TestFillToQuota(t *testing.T) {
	t.Parallel()
	const keep = 10 * time.Second
	r, _, _, _ := formed(t, "--compaction-keep", keep.String(), "--", "--quota-backend-bytes=67108864")
	c := r.client("a", "b", "c")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	value := strings.Repeat("x", 64<<10)
	var mu sync.Mutex
	var blocked, free time.Time // when the first write was refused, and when one was taken after it
	var load sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := put(ctx, c, fmt.Sprintf("k%d-%d", w, i%8), value)
				mu.Lock()
				switch {
				case errors.Is(err, rpctypes.ErrNoSpace) && blocked.IsZero():
					blocked = time.Now()
				case err == nil && !blocked.IsZero() && free.IsZero():
					free = time.Now()
				}
				mu.Unlock()
			}
		})
	}
	r.eventually(2*time.Minute, "the quota is full, and then it is not", func() error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case blocked.IsZero():
			return errors.New("not full yet")
		case free.IsZero():
			return fmt.Errorf("blocked for %s", time.Since(blocked))
		}
		return nil
	})
	stop()
	load.Wait()
	took := free.Sub(blocked)
	t.Logf("writes were blocked for %s, with --compaction-keep %s", took.Round(10*time.Millisecond), keep)
	if took > keep+10*time.Second {
		t.Errorf("writes were blocked for %s", took)
	}
	r.eventually(30*time.Second, "no alarm stands", func() error {
		alarms, err := c.AlarmList(context.Background())
		if err == nil && len(alarms.Alarms) > 0 {
			err = fmt.Errorf("%v", alarms.Alarms)
		}
		return err
	})
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
