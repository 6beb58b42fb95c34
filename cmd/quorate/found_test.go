package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestOrders: three machines that come one after the other, in any order.
func TestOrders(t *testing.T) {
	t.Parallel()
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
					r.nodes[n].stays(8, "waits for the third", because("not enough empty peers answer"))
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
	t.Parallel()
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
// they come, there is one cluster, and all get into it.
func TestFiveViews(t *testing.T) {
	t.Parallel()
	for i := range again(t, 5, 50) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r, names := fiveViews(t, uint64(i), staticView)
			took := r.voters(90*time.Second, names...)
			id := r.oneCluster(names...)
			r.onlyEpochOne()
			c, err := r.charter(firstCharter)
			must(t, err)
			t.Logf("cluster %s, %d founders, five voters after %s", id, len(c.Founders), took.Round(time.Millisecond))
		})
	}
}

// TestFiveFiles: the same with files, each of which claims to know who is gone.
// They contradict each other for ever, so not all get in, but all that are in
// are in one cluster.
func TestFiveFiles(t *testing.T) {
	t.Parallel()
	for i := range again(t, 1, 50) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r, names := fiveViews(t, uint64(i), fileView)
			in := map[string]bool{}
			r.eventually(60*time.Second, "three are in", func() error {
				for _, n := range names {
					if rep, err := r.nodes[n].report(); err == nil && rep.Etcd.Healthy {
						in[n] = true
					}
				}
				if len(in) < 3 {
					return fmt.Errorf("in are %v", in)
				}
				return nil
			})
			one := r.oneCluster(r.leader(names...).name)
			for _, n := range names {
				r.nodes[n].stays(2, "one cluster", func(rep cluster.Report) error {
					if id := rep.Etcd.ClusterID; id != 0 && id != one {
						return fmt.Errorf("cluster %s, and %s", one, id)
					}
					return nil
				})
			}
			r.onlyEpochOne()
		})
	}
}

// fiveViews starts five nodes. Each sees itself and two or three others, and no
// two see the same.
func fiveViews(t *testing.T, seed uint64, view func(r *rig, names []string, of string) string) (*rig, []string) {
	rng := rand.New(rand.NewPCG(seed, 5))
	r := newRig(t, "--size", "5", "--founding-wait", "1500ms", "--dead-after", "10m")
	names := []string{"a", "b", "c", "d", "e"}
	for i, n := range names {
		r.machine(n, 11+i)
	}
	ring := rng.Perm(5)
	unseen := 1 + int(seed%2)
	for _, j := range rng.Perm(5) {
		var list []string
		for k := range 5 - unseen {
			list = append(list, names[ring[(j+5-k)%5]])
		}
		rng.Shuffle(len(list), func(x, y int) { list[x], list[y] = list[y], list[x] })
		h := r.nodes[names[ring[j]]]
		h.start("--peers", view(r, list, h.name))
		if rng.IntN(2) == 0 {
			r.eventually(20*time.Second, h.name+" answers", func() error { _, err := h.report(); return err })
		}
	}
	return r, names
}

func staticView(r *rig, names []string, _ string) string {
	var list []string
	for _, n := range names {
		list = append(list, n+"="+r.nodes[n].addr)
	}
	return strings.Join(list, ",")
}

func fileView(r *rig, names []string, of string) string {
	path := filepath.Join(r.dir, "peers-of-"+of+".yaml")
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "- {name: %s, host: %s}\n", n, r.nodes[n].addr)
	}
	must(r.t, os.WriteFile(path, []byte(b.String()), 0o600))
	return "file://" + path
}

// TestWriterDies: the node that wrote the charter is killed right after, before
// it took its next step or after its etcd had started; alone or with its etcd.
func TestWriterDies(t *testing.T) {
	t.Parallel()
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
