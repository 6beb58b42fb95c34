package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// flip changes a value in the database of a host's stopped etcd, as a bad disk
// may: to another one of the same length.
func (h *host) flip(etcdDir, from, to string) {
	h.r.t.Helper()
	db, err := bolt.Open(filepath.Join(etcdDir, "member", "snap", "db"), 0o600, &bolt.Options{Timeout: 10 * time.Second})
	must(h.r.t, err)
	defer db.Close()
	flipped := 0
	must(h.r.t, db.Update(func(tx *bolt.Tx) error {
		keys := tx.Bucket([]byte("key"))
		changed := map[string][]byte{}
		err := keys.ForEach(func(k, v []byte) error {
			if bytes.Contains(v, []byte(from)) {
				changed[string(k)] = bytes.ReplaceAll(bytes.Clone(v), []byte(from), []byte(to))
			}
			return nil
		})
		for k, v := range changed {
			flipped++
			err = errors.Join(err, keys.Put([]byte(k), v))
		}
		return err
	}))
	if flipped == 0 {
		h.r.t.Fatalf("no value %q in the database of %s", from, h.name)
	}
}

func (h *host) etcdDir() string { return filepath.Join(h.dataDir(), "etcd") }

// damage stops a host as a power cut does, flips a value in its database, and starts it.
func (h *host) damage(from, to string) {
	h.r.t.Helper()
	h.term() // what is not committed to the database yet is by then
	h.flip(h.etcdDir(), from, to)
	h.start()
}

// asides are the data directories that a host has set aside.
func (h *host) asides() []string {
	all, err := filepath.Glob(filepath.Join(h.dataDir(), "aside", "*"))
	must(h.r.t, err)
	return all
}

// replaced waits until the host votes under another id, its old data kept.
func (r *rig) replaced(h *host, old map[string]cluster.Member) {
	r.t.Helper()
	r.eventually(90*time.Second, h.name+" is another member", func() error {
		if err := h.ready(); err != nil {
			return err
		}
		if now := r.members(r.client("a", "b", "c")); now[h.name].ID == old[h.name].ID || now[h.name].ID == 0 {
			return fmt.Errorf("members %v, before %v", now, old)
		}
		return nil
	})
	r.voters(60*time.Second, "a", "b", "c")
	if kept := h.asides(); len(kept) != 1 || !strings.Contains(kept[0], "removed") {
		r.t.Errorf("%s has set aside %v, want its old data", h.name, kept)
	}
}

// fill writes keys k0, k1 … with the values "value-of-N".
func (r *rig) fill(c *clientv3.Client, n int) {
	r.t.Helper()
	for i := range n {
		r.put(c, fmt.Sprint("k", i), fmt.Sprintf("value-of-%04d", i))
	}
}

// TestCorruptMinority: a value that has changed on one member's disk is found by
// comparing, that member is replaced, and its data kept.
func TestCorruptMinority(t *testing.T) {
	t.Parallel()
	r, _, _, c := formed(t, "--hash-check-interval", "3s")
	r.fill(r.client("a", "b", "c"), 20)
	ids := r.members(r.client("a"))
	c.damage("value-of-0007", "value-of-9999")
	r.replaced(c, ids)
	own := r.client("c")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got, err := own.Get(ctx, "k7", clientv3.WithSerializable())
	must(t, err)
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "value-of-0007" {
		t.Errorf("c serves %v, want the majority's value", got.Kvs)
	}
	c.crash()
	c.flip(c.asides()[0], "value-of-9999", "value-of-9999") // fatal where it is not
}

// TestCorruptAlarm: etcd itself finds the difference at a compaction, and serves
// nobody; the member goes, and then the alarm.
func TestCorruptAlarm(t *testing.T) {
	t.Parallel()
	r, _, _, c := formed(t, "--hash-check-interval", "0", "--", "--compact-hash-check-time=1s")
	all := r.client("a", "b")
	r.fill(all, 20)
	ids := r.members(r.client("a"))
	c.damage("value-of-0007", "value-of-9999")
	r.voters(40*time.Second, "a", "b", "c")
	r.put(all, "k", "v")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got, err := all.Get(ctx, "k")
	must(t, err)
	_, err = all.Compact(ctx, got.Header.Revision)
	must(t, err)
	r.replaced(c, ids)
	r.put(all, "after", "it")
	if alarms, err := all.AlarmList(ctx); err == nil && len(alarms.Alarms) > 0 {
		t.Errorf("alarms stand: %v", alarms.Alarms)
	}
	if !strings.Contains(r.logs(), "DisarmAlarm{CORRUPT") {
		t.Error("etcd raised no alarm: the test shows nothing")
	}
}

// logs are what all agents have said.
func (r *rig) logs() (all string) {
	for _, h := range r.nodes {
		all += h.log()
	}
	return all
}

// TestCorruptTorn: three members with three contents. Nobody is replaced, though
// one leaves the group and a newcomer waits.
func TestCorruptTorn(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, "--hash-check-interval", "3s")
	r.fill(r.client("a", "b", "c"), 20)
	ids := r.members(r.client("a"))
	b.term() // as in damage
	c.term()
	b.flip(b.etcdDir(), "value-of-0003", "value-of-8888")
	c.flip(c.etcdDir(), "value-of-0007", "value-of-9999")
	b.start()
	c.start()
	r.eventually(90*time.Second, "a keeper refuses", func() error {
		for _, h := range []*host{a, b, c} {
			if rep, err := h.report(); err == nil && strings.HasPrefix(rep.Reason, "refuse: the members' keys differ") && strings.Contains(rep.Reason, "a ") {
				return nil
			}
		}
		return errors.New("not yet")
	})
	d := r.machine("d", 14)
	r.list("a", "b", "d")
	d.start()
	r.eventually(20*time.Second, "d is told to wait", func() error {
		rep, err := d.report()
		if err == nil && !rep.Joining {
			err = errors.New(rep.Reason)
		}
		return err
	})
	d.stays(6, "waits for a place", func(cluster.Report) error { // a report a second
		if now := r.members(r.client("a")); fmt.Sprint(now) != fmt.Sprint(ids) {
			return fmt.Errorf("members %v, before %v", now, ids)
		}
		return nil
	})
}
