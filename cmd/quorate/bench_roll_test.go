package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// benchRolls is how often each row rolls; a stock etcd that clients watch takes
// 7 s to stop, each member.
const benchRolls = 5

// BenchmarkRoll compares what clients feel of a rolling restart of three: plain
// etcd and SIGTERM, with the lead moved away before, and quorate.
func BenchmarkRoll(b *testing.B) {
	for b.Loop() {
		for _, rate := range []int{200, 2000} {
			for _, way := range []struct {
				name string
				open func(testing.TB) fleet
			}{
				{"SIGTERM", func(t testing.TB) fleet { return newPlain(t, false) }},
				{"MoveLeader", func(t testing.TB) fleet { return newPlain(t, true) }},
				{"quorate", func(t testing.TB) fleet { return byHand{rolling(t)} }},
			} {
				b.Run(fmt.Sprintf("%s-%d", way.name, rate), func(b *testing.B) { benchRoll(b, way.open(b), rate) })
			}
		}
	}
}

// fleet is three members that can be rolled.
type fleet interface {
	endpoints() []string
	roll() time.Duration
	close()
}

func benchRoll(b *testing.B, fl fleet, rate int) {
	f := startTraffic(b, rate, 10*rate, fl.endpoints()...)
	var took []time.Duration
	for range benchRolls {
		took = append(took, fl.roll())
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: fl.endpoints(), Logger: zap.NewNop()})
	must(b, err)
	f.end(c)
	c.Close()
	fl.close()
	p99, gap := percentile(f.puts, 0.99), f.longestGap()
	b.ReportMetric(float64(f.failures()), "failed")
	b.ReportMetric(float64(p99.Milliseconds()), "ms-p99")
	b.ReportMetric(float64(gap.Milliseconds()), "ms-longest-gap")
	b.ReportMetric(median(took).Seconds(), "s-a-roll")
	b.Logf("%d rolls of three at %d puts/s: %d puts, %d failed, p99 %s, longest gap %s, a roll %s; linearizable: %s; watches: %d complaints %v\n%v",
		benchRolls, rate, len(f.puts), f.failures(), round(p99), round(gap), round(median(took)), f.linearizable(), len(f.broken), f.broken, f.failed)
	if fl, ours := fl.(byHand); ours && f.failures() > 0 {
		fl.t.Errorf("%d requests failed", f.failures())
	}
}

// byHand is quorate, without `quorate roll`.
type byHand struct{ *rig }

func (r byHand) endpoints() []string { return r.clientURLs() }
func (r byHand) roll() time.Duration { return r.rollByHand() }
func (r byHand) close()              { r.end(); clear(r.nodes) }

// plain is three etcd without quorate, kept by a script.
type plain struct {
	t     testing.TB
	moves bool // the lead, before a SIGTERM of the leader
	args  map[string][]string
	procs map[string]*exec.Cmd
}

func newPlain(t testing.TB, moves bool) *plain {
	p := &plain{t: t, moves: moves, args: map[string][]string{}, procs: map[string]*exec.Cmd{}}
	t.Cleanup(p.close)
	var initial []string
	net := nextNetwork()
	for i := range 3 {
		initial = append(initial, fmt.Sprintf("m%d=http://%s.%d:2380", i, net, 11+i))
	}
	dir := t.TempDir()
	for i := range 3 {
		h := fmt.Sprintf("%s.%d", net, 11+i)
		p.args[h] = []string{"etcd", "--name", "m" + strconv.Itoa(i), "--data-dir", filepath.Join(dir, strconv.Itoa(i)),
			"--listen-client-urls", "http://" + h + ":2379", "--advertise-client-urls", "http://" + h + ":2379",
			"--listen-peer-urls", "http://" + h + ":2380", "--initial-advertise-peer-urls", "http://" + h + ":2380",
			"--initial-cluster", strings.Join(initial, ",")}
		p.start(h)
	}
	for h := range p.args {
		p.awaitHealthy(h)
	}
	return p
}

func (p *plain) start(h string) {
	p.procs[h] = exec.Command(program, p.args[h]...)
	must(p.t, p.procs[h].Start())
}

func (p *plain) awaitHealthy(h string) {
	for deadline := time.Now().Add(time.Minute); !healthy(h); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not healthy within a minute", h)
		}
	}
}

func (p *plain) endpoints() (all []string) {
	for h := range p.args {
		all = append(all, "http://"+h+":2379")
	}
	return all
}

func (p *plain) roll() time.Duration {
	began := time.Now()
	for h := range p.args {
		if p.moves {
			p.moveFrom(h)
		}
		must(p.t, p.procs[h].Process.Signal(syscall.SIGTERM))
		_ = p.procs[h].Wait()
		p.start(h)
		p.awaitHealthy(h)
	}
	return time.Since(began)
}

// moveFrom moves the lead away from a member that has it.
func (p *plain) moveFrom(h string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + h + ":2379"}, Logger: zap.NewNop()})
	must(p.t, err)
	defer c.Close()
	s, err := c.Status(ctx, c.Endpoints()[0])
	must(p.t, err)
	if s.Leader != s.Header.MemberId {
		return
	}
	members, err := c.MemberList(ctx)
	must(p.t, err)
	for _, m := range members.Members {
		if m.ID != s.Leader {
			_, err = c.MoveLeader(ctx, m.ID)
			must(p.t, err)
			return
		}
	}
}

func (p *plain) close() {
	for _, proc := range p.procs {
		_ = proc.Process.Kill()
		_ = proc.Wait()
	}
}
