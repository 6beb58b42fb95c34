package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// brief is the context of one call.
func brief() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 3*time.Second)
}

// object is the file of a ledger object in the rig's directory store.
func (r *rig) object(key string) string {
	return filepath.Join(r.dir, "store", "test", filepath.FromSlash(key))
}

const firstCharter = "ledger/0000000001/charter.json"

// charter reads one from the store.
func (r *rig) charter(key string) (cluster.Charter, error) {
	var c cluster.Charter
	raw, err := os.ReadFile(r.object(key))
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	return c, err
}

// onlyEpochOne fails the test when a second epoch was founded.
func (r *rig) onlyEpochOne() {
	r.t.Helper()
	if _, err := os.Stat(r.object("ledger/0000000002/charter.json")); !os.IsNotExist(err) {
		r.t.Errorf("there is a second epoch (%v)", err)
	}
}

// oneCluster waits until each host's etcd says its cluster, and fails the test
// unless it is the same one.
func (r *rig) oneCluster(names ...string) cluster.ClusterID {
	r.t.Helper()
	var one cluster.ClusterID
	for _, n := range names {
		r.eventually(30*time.Second, n+" is in a cluster", func() error {
			rep, err := r.nodes[n].report()
			switch {
			case err != nil:
				return err
			case rep.Etcd.ClusterID == 0 || !rep.Etcd.Healthy:
				return errors.New(rep.Reason)
			case one == 0:
				one = rep.Etcd.ClusterID
			case rep.Etcd.ClusterID != one:
				r.t.Fatalf("two clusters: %s is of %s, %s of %s", names[0], one, n, rep.Etcd.ClusterID)
			}
			return nil
		})
	}
	return one
}

// members is etcd's own list, read linearizably.
func (r *rig) members(c *clientv3.Client) map[string]cluster.Member {
	r.t.Helper()
	out := map[string]cluster.Member{}
	r.eventually(20*time.Second, "the member list", func() error {
		ctx, cancel := brief()
		defer cancel()
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		clear(out)
		for _, m := range list.Members {
			name := m.Name
			if name == "" {
				name = strings.Join(m.PeerURLs, " ")
			}
			out[name] = cluster.Member{ID: cluster.MemberID(m.ID), Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.IsLearner}
		}
		return nil
	})
	return out
}

// leader is the host whose etcd leads.
func (r *rig) leader(names ...string) *host {
	r.t.Helper()
	var found *host
	r.eventually(20*time.Second, "a leader", func() error {
		for _, n := range names {
			if rep, err := r.nodes[n].report(); err == nil && rep.Keeper {
				found = r.nodes[n]
				return nil
			}
		}
		return errors.New("nobody keeps")
	})
	return found
}

// others are the hosts without that one.
func (r *rig) others(not *host, names ...string) []string {
	var out []string
	for _, n := range names {
		if n != not.name {
			out = append(out, n)
		}
	}
	return out
}

// stays watches a condition over the next reports of a host, as many as the
// number says, and fails the test at the first that breaks it.
func (h *host) stays(rounds int, what string, ok func(cluster.Report) error) {
	h.r.t.Helper()
	var last time.Time
	for seen := 0; seen < rounds; {
		var rep cluster.Report
		h.r.eventually(10*time.Second, h.name+" reports", func() error {
			var err error
			if rep, err = h.report(); err == nil && !rep.At.After(last) {
				err = errors.New("nothing new")
			}
			return err
		})
		last = rep.At
		seen++
		if err := ok(rep); err != nil {
			h.r.t.Fatalf("%s: %s, in report %d: %v", h.name, what, seen, err)
		}
	}
}

// advances waits for a condition for as long as its figure changes: work that is
// slow is not stuck. Its last error says what was missing.
func (r *rig) advances(limit time.Duration, what string, ok func() (int, error)) {
	r.t.Helper()
	done, err := ok()
	for last := time.Now(); err != nil; time.Sleep(25 * time.Millisecond) { // between two looks at the condition
		before := done
		if done, err = ok(); done != before {
			last = time.Now()
		}
		if err != nil && time.Since(last) > limit {
			r.t.Fatalf("no progress for %s at %d: %s: %v", limit, done, what, err)
		}
	}
}

// because is the condition that a report's reason holds the text.
func because(text string) func(cluster.Report) error {
	return func(rep cluster.Report) error {
		if !strings.Contains(rep.Reason, text) {
			return fmt.Errorf("says %q, want %q", rep.Reason, text)
		}
		return nil
	}
}

// gate stands before etcd: a script that lets only `--version` pass while the
// file beside it is there.
func (r *rig) gate(name string) (script, shut string) {
	script, shut = filepath.Join(r.dir, name), filepath.Join(r.dir, name+".shut")
	text := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *--version*) ;; *) while [ -e '%s' ]; do sleep 0.02; done;; esac\nexec '%s' etcd \"$@\"\n", shut, program)
	must(r.t, os.WriteFile(script, []byte(text), 0o700))
	return script, shut
}

// load puts numbered keys, one after the other, until the test stops it. A put
// that takes longer than the limit has failed, and the next one follows.
type load struct {
	stop  context.CancelFunc
	done  chan struct{}
	acked []string
	worst time.Duration // between two that were acknowledged
	tries int
}

func (r *rig) load(c *clientv3.Client, prefix string, limit time.Duration) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel, done: make(chan struct{})}
	r.t.Cleanup(func() { cancel(); <-l.done })
	go func() {
		defer close(l.done)
		last := time.Now()
		for ; ctx.Err() == nil; l.tries++ {
			key := fmt.Sprintf("%s%06d", prefix, l.tries)
			call, end := context.WithTimeout(ctx, limit)
			_, err := c.Put(call, key, key)
			end()
			if err == nil {
				l.worst = max(l.worst, time.Since(last))
				last = time.Now()
				l.acked = append(l.acked, key)
			}
		}
	}()
	return l
}

// end stops the load and waits for it.
func (l *load) end() { l.stop(); <-l.done }

// wantAcked fails the test unless every acknowledged write is there.
func (r *rig) wantAcked(c *clientv3.Client, l *load, prefix string) {
	r.t.Helper()
	there := map[string]bool{}
	r.eventually(20*time.Second, "reading what was written", func() error {
		ctx, cancel := brief()
		defer cancel()
		got, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		for _, kv := range got.Kvs {
			there[string(kv.Key)] = true
		}
		return nil
	})
	lost := 0
	for _, key := range l.acked {
		if !there[key] {
			lost++
		}
	}
	if lost > 0 || len(l.acked) == 0 {
		r.t.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acked))
	}
}

// long says that the long tests were asked for.
func long() bool { return os.Getenv("QUORATE_LONG") != "" }

// again is how often to repeat: n times in a usual run, all in a long one.
func again(t *testing.T, n, all int) int {
	if !long() {
		return n
	}
	t.Logf("QUORATE_LONG: %d repetitions", all)
	return all
}
