package clustertest

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

var (
	subsetsAll = flag.Bool("subsets.all", false, "play every case of five members too, in every order and variant")
	subset     = flag.String("subset", "", "play the one case of that name, and print its trace")
)

// ill is what befalls one member.
type ill byte

// The ills, by the letter that names them.
const (
	well        ill = 'w'
	slow        ill = 's'
	paused      ill = 'p' // SIGSTOP, agent and etcd
	partitioned ill = 'x'
	rebooting   ill = 'r' // 20 s
	terminated  ill = 'T'
	wiped       ill = 'W'
)

var ills = []ill{well, slow, paused, partitioned, rebooting, terminated, wiped}

// variant is what else matters: who the partitioned are cut off from, and
// whether the source can prove that a machine is gone.
type variant struct {
	cut        string // alone: each from all; together: from those who are not; agents: each, the agents alone
	mereSource bool
}

var variants = []variant{{"alone", false}, {"together", false}, {"agents", false}, {"alone", true}, {"together", true}, {"agents", true}}

// affair is one case: ills[0] befalls the leader, the others the followers in
// the order of their names.
type affair struct {
	ills []ill
	variant
}

func (a affair) String() string {
	source := "proves"
	if a.mereSource {
		source = "lists"
	}
	return string(a.letters()) + "-" + a.cut + "-" + source
}

func (a affair) letters() []byte {
	var out []byte
	for _, x := range a.ills {
		out = append(out, byte(x))
	}
	return out
}

func (a affair) count(of ...ill) (n int) {
	for _, x := range a.ills {
		if slices.Contains(of, x) {
			n++
		}
	}
	return n
}

// lostMajority says that with what is left raft can elect nobody, ever.
func (a affair) lostMajority() bool {
	return len(a.ills)-a.count(terminated, wiped) < cluster.Quorum(len(a.ills))
}

// provenAtOnce says that, while the ills last, the loss is proven to somebody
// who may act on it: whoever is not gone answers it.
func (a affair) provenAtOnce() bool {
	kept := len(a.ills) - a.count(terminated, wiped)
	cut := a.count(partitioned)
	switch {
	case !a.lostMajority() || a.mereSource && a.count(terminated) > 0 || a.count(paused) > 0:
		return false
	case kept == 0:
		return a.count(wiped) >= cluster.Quorum(len(a.ills))
	case cut == 0:
		return true
	case a.cut == "together":
		return cut == kept && a.count(wiped) == 0
	}
	return cut == 1 && kept == 1 && a.count(wiped) == 0
}

// TestSubsets: for three and five members, each of which is well, slow, paused,
// partitioned, rebooting, terminated or has lost its disk, a next epoch is
// founded if and only if a majority is proven gone; and when all that can come
// back has come back, everything becomes well.
func TestSubsets(t *testing.T) {
	cases := affairs()
	if *subset != "" {
		cases = slices.DeleteFunc(cases, func(a affair) bool { return a.String() != *subset })
	}
	work := make(chan affair)
	var wg sync.WaitGroup
	founded, stood := 0, 0
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for a := range work {
				epoch, why := a.play(t)
				mu.Lock()
				if why != "" {
					t.Errorf("%s: %s\n\tgo test ./internal/clustertest -run TestSubsets -subsets.all -subset=%s -v", a, why, a)
				}
				if epoch == 1 {
					stood++
				} else {
					founded++
				}
				mu.Unlock()
			}
		})
	}
	for _, a := range cases {
		if t.Failed() {
			break
		}
		work <- a
	}
	close(work)
	wg.Wait()
	t.Logf("%d cases: in %d a next epoch was founded, in %d none", len(cases), founded, stood)
	if *subset == "" && (founded < len(cases)/10 || stood < len(cases)/10) {
		t.Error("the cases do not tell much")
	}
}

// affairs are all cases of three members. Of five each combination is there,
// for each ill of the leader, once; with -subsets.all every order and variant.
// Under the race detector, which is ten times slower, it is a quarter of them.
func affairs() []affair {
	var out []affair
	thin := 0
	for _, size := range []int{3, 5} {
		n := 1
		for range size {
			n *= len(ills)
		}
		for i := range n {
			a := affair{ills: make([]ill, size)}
			sorted := true
			for k, rest := 0, i; k < size; k, rest = k+1, rest/len(ills) {
				a.ills[k] = ills[rest%len(ills)]
				sorted = sorted && (k < 2 || slices.Index(ills, a.ills[k-1]) <= slices.Index(ills, a.ills[k]))
			}
			every := *subsetsAll || size == 3
			if !sorted && !every {
				continue
			}
			for v, x := range variants {
				if a.count(partitioned) == 0 && x.cut != "alone" || !every && a.count(partitioned) > 0 && v != (i+i/6)%6 || !every && a.count(partitioned) == 0 && x.mereSource != (i%2 == 0) {
					continue
				}
				if thin++; raceDetector && thin%4 != 0 && !*subsetsAll {
					continue
				}
				out = append(out, affair{a.ills, x})
			}
		}
	}
	return out
}

// play is one case from the founding to the end: why is what went wrong.
func (a affair) play(t *testing.T) (epoch cluster.Epoch, why string) {
	rng := rand.New(rand.NewPCG(1, uint64(len(a.ills))))
	var trace bytes.Buffer
	w := build(rng, nil, profile{machines: len(a.ills), size: len(a.ills), hasStore: true, authoritative: !a.mereSource,
		join: cluster.JoinReplace, autoRecover: true, backups: true})
	w.faults, w.lag = faultRates{}, 0.1
	w.settings.BackupEvery = 10 * time.Second
	if *subset != "" {
		w.trace = &trace
		defer func() { os.Stdout.Write(trace.Bytes()) }()
	}
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(violation)
			if !ok {
				panic(r)
			}
			epoch, why = w.truth.epoch, v.text
		}
	}()
	why = a.course(w)
	return w.truth.epoch, why
}

// course is what happens, and what must.
func (a affair) course(w *World) string {
	if !w.passUntil(3*time.Minute, func() bool { return w.notWell() == "" && w.truth.acks > 20 && len(w.store.backups) > 0 }) {
		return "it never began: " + w.notWell()
	}
	members := w.byLead()
	for i, m := range members {
		a.ills[i].befall(w, a, members, m)
	}
	w.recordSource()
	began, early := w.now, false
	w.passUntil(time.Minute, func() bool {
		for i, m := range members {
			if a.ills[i] == rebooting && m.off && w.now-began > 20*time.Second {
				w.powerOn(m)
			}
		}
		early = early || w.truth.epoch > 1 && !a.provenAtOnce()
		return early
	})
	switch {
	case early:
		return "a next epoch, and no majority is proven gone"
	case a.provenAtOnce() && w.truth.epoch == 1:
		return "no next epoch, and a majority is proven gone: " + w.doing()
	}
	for _, m := range members {
		m.paused, m.slow = false, false
	}
	w.healNetwork()
	if a.mereSource && a.lostMajority() && a.count(terminated) > 0 {
		if why := a.operator(w); why != "" {
			return why
		}
	}
	w.replaceAll(members)
	w.becomesWell()
	switch {
	case a.lostMajority() != (w.truth.epoch == 2), w.truth.epoch > 2:
		return fmt.Sprintf("epoch %d in the end", w.truth.epoch)
	case !a.mereSource && w.reasons["operator: recover"] > 0:
		return "an operator was needed"
	}
	return ""
}

// operator: all that can answer does, and of those who cannot a mere list
// proves nothing: only an operator's word ends the epoch.
func (a affair) operator(w *World) string {
	w.passUntil(time.Minute, func() bool { return w.truth.epoch > 1 })
	if w.truth.epoch > 1 {
		return "a next epoch, on the word of a mere list"
	}
	w.operate()
	kept := len(a.ills) - a.count(terminated, wiped)
	w.passUntil(90*time.Second, func() bool { return w.truth.epoch > 1 })
	if w.truth.epoch == 1 && (kept > 0 || a.count(wiped) >= cluster.Quorum(len(a.ills))) {
		return "no next epoch, and an operator has spoken: " + w.doing()
	}
	return ""
}

// befall lets the ill come over m.
func (x ill) befall(w *World, a affair, members []*machine, m *machine) {
	switch x {
	case slow:
		m.slow = true
	case paused:
		m.paused = true
	case rebooting:
		w.crashMachine(m)
	case wiped:
		w.wipe(m)
	case terminated:
		w.logf("%s is terminated", m.name)
		w.agentEnds(m)
		m.etcd, m.off, m.lost, m.state = nil, true, true, cluster.Terminated
		w.live = slices.DeleteFunc(slices.Clone(w.live), func(y *machine) bool { return y == m })
	case partitioned:
		for i, other := range members {
			if other == m || a.cut == "together" && a.ills[i] == partitioned {
				continue
			}
			w.cut[layerAgent][pair(m, other)] = true
			w.cut[layerEtcd][pair(m, other)] = a.cut != "agents"
		}
	}
}

// byLead is the leader, then the others by name.
func (w *World) byLead() []*machine {
	out := slices.Clone(w.live)
	slices.SortFunc(out, func(a, b *machine) int {
		la, lb := a.etcd.leads, b.etcd.leads
		switch {
		case la && !lb:
			return -1
		case lb && !la:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

// replaceAll launches a machine for each that is gone: under its name where the
// source is a fixed list.
func (w *World) replaceAll(members []*machine) {
	for _, m := range members {
		if m.lost {
			w.replace(m, w.source.authoritative)
		}
	}
	w.recordSource()
}

// passUntil lets time pass until done, and says whether it came to that.
func (w *World) passUntil(limit time.Duration, done func() bool) bool {
	for end := w.now + limit; w.now < end; {
		if done() {
			return true
		}
		w.pass()
	}
	return done()
}
