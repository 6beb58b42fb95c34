package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOrders: three machines that come one after the other, in any order.
func TestOrders(t *testing.T) {
	orders := []string{"abc", "cab", "bca"}
	if long() {
		orders = append(orders, "acb", "bac", "cba")
	}
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			r := newRig(t, "--founding-wait", "20s")
			r.trio()
			for i, n := range strings.Split(order, "") {
				r.nodes[n].start()
				if i < 2 { // the next machine comes seconds later: when this one waits for it
					r.nodes[n].says(20*time.Second, "not enough empty peers answer")
				}
			}
			r.voters(40*time.Second, "a", "b", "c")
			r.oneCluster("a", "b", "c")
			r.onlyEpochOne()
			if m := r.members(r.client("a")); len(m) != 3 {
				t.Errorf("members %v", m)
			}
		})
	}
}

// TestLateThird: the third comes after the founding wait, when two have founded.
func TestLateThird(t *testing.T) {
	r := newRig(t, "--founding-wait", "1s")
	a, b, c := r.trio()
	a.start()
	b.start()
	r.voters(30*time.Second, "a", "b")
	c.start()
	r.voters(40*time.Second, "a", "b", "c")
	r.oneCluster("a", "b", "c")
	r.onlyEpochOne()
}

// TestFiveViews: five nodes see five different parts of the group. However
// they come, there is one cluster.
func TestFiveViews(t *testing.T) {
	for i := range again(t, 5, 50) {
		t.Run(fmt.Sprint(i), func(t *testing.T) { fiveViews(t, uint64(i)) })
	}
}

func fiveViews(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	r := newRig(t, "--size", "5", "--founding-wait", "1500ms", "--dead-after", "10m")
	names := []string{"a", "b", "c", "d", "e"}
	for i, n := range names {
		r.machine(n, 11+i)
	}
	views := map[string]string{}
	for shift, i := range rng.Perm(5) {
		// Node i, and three or four others; no two nodes leave out the same one.
		var list []string
		for k, n := range names {
			if k == i || k != (i+1+shift%4)%5 {
				list = append(list, n+"="+r.nodes[n].addr)
			}
		}
		rng.Shuffle(len(list), func(x, y int) { list[x], list[y] = list[y], list[x] })
		views[names[i]] = strings.Join(list, ",")
	}
	for k, i := range rng.Perm(5) {
		r.nodes[names[i]].start("--peers", views[names[i]])
		if k < 2 && rng.IntN(2) == 0 {
			r.eventually(20*time.Second, names[i]+" answers", func() error { _, err := r.nodes[names[i]].report(); return err })
		}
	}
	took := r.voters(90*time.Second, names...)
	id := r.oneCluster(names...)
	r.onlyEpochOne()
	c, err := r.charter(firstCharter)
	must(t, err)
	t.Logf("views %v: cluster %s, %d founders, five voters after %s", views, id, len(c.Founders), took.Round(time.Millisecond))
}

// TestWriterDies: the node that wrote the charter is killed right after, before
// it took its next step or after its etcd had started; alone or with its etcd.
func TestWriterDies(t *testing.T) {
	for name, row := range map[string]struct{ started, etcdToo bool }{
		"before its mark":             {false, false},
		"after its etcd started":      {true, true},
		"after its etcd, which stays": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "--founding-wait", "20s")
			a, b, c := r.trio()
			marks := r.object("ledger/0000000001/started")
			if !row.started { // nobody can write a mark: all stop right after the charter
				must(t, os.MkdirAll(r.object("ledger/0000000001"), 0o700))
				must(t, os.WriteFile(marks, nil, 0o600))
			}
			for _, h := range []*host{a, b, c} {
				h.start()
			}
			writer := r.writer()
			if row.started {
				r.eventually(20*time.Second, "etcd of the writer", func() error {
					if writer.etcdPID() == 0 {
						return errors.New("not started")
					}
					return nil
				})
			}
			writer.signal(syscall.SIGKILL)
			if row.etcdToo {
				writer.killEtcd()
			}
			writer.await(10 * time.Second)
			if !row.started {
				if pid := writer.etcdPID(); pid != 0 {
					t.Fatalf("etcd of the writer runs, pid %d: this tests nothing", pid)
				}
				must(t, os.Remove(marks))
			}
			rest := r.others(writer, "a", "b", "c")
			id := r.oneCluster(rest...)
			writer.start()
			r.voters(60*time.Second, "a", "b", "c")
			if again := r.oneCluster("a", "b", "c"); again != id {
				t.Errorf("the cluster was %s, and is %s", id, again)
			}
			r.onlyEpochOne()
		})
	}
}

// writer waits for the charter, and is the host that wrote it.
func (r *rig) writer() *host {
	r.t.Helper()
	var by *host
	r.eventually(30*time.Second, "a charter", func() error {
		c, err := r.charter(firstCharter)
		by = r.nodes[c.By]
		return err
	})
	return by
}
