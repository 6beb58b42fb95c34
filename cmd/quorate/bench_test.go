package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
)

// pairs is how often each side of a comparison runs, in turn.
const pairs = 7

// BenchmarkForming compares the time from nothing to three members that answer
// a client: agents that find each other and found, against three etcd processes
// that were told everything by hand.
func BenchmarkForming(b *testing.B) {
	for b.Loop() {
		var raw, ours []time.Duration
		for range pairs {
			raw = append(raw, formRaw(b))
			ours = append(ours, formQuorate(b))
		}
		b.ReportMetric(median(raw).Seconds(), "s-by-hand")
		b.ReportMetric(median(ours).Seconds(), "s-quorate")
		b.ReportMetric(median(ours).Seconds()/median(raw).Seconds(), "ratio")
		b.Logf("forming 3 voters: by hand %s, quorate %s; ratio of medians %.2f (%d pairs)\nby hand %v\nquorate %v",
			round(median(raw)), round(median(ours)), median(ours).Seconds()/median(raw).Seconds(), pairs, raw, ours)
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func median(all []time.Duration) time.Duration {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2]
}

func healthy(host string) bool {
	resp, err := http.Get("http://" + host + ":2379/health")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func awaitHealthy(b *testing.B, hosts []string) {
	deadline := time.Now().Add(time.Minute)
	for slices.ContainsFunc(hosts, func(h string) bool { return !healthy(h) }) {
		if time.Now().After(deadline) {
			b.Fatal("not healthy within a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func formRaw(b *testing.B) time.Duration { return formOn(b, b.TempDir()) }

// rawHosts are the addresses of three etcds that nobody looks after, and the
// initial cluster that they make.
func rawHosts() (hosts []string, initial string) {
	var all []string
	for i := range 3 {
		h := fmt.Sprintf("%s.%d", network, 11+i)
		hosts = append(hosts, h)
		all = append(all, fmt.Sprintf("m%d=http://%s:2380", i, h))
	}
	return hosts, strings.Join(all, ",")
}

// formOn times three etcds on the data directories 0, 1 and 2 below dir, which may
// hold restored data, from their start to their health.
func formOn(b *testing.B, dir string) time.Duration {
	hosts, initial := rawHosts()
	began := time.Now()
	var procs []*exec.Cmd
	for i, h := range hosts {
		cmd := exec.Command(program, "etcd", "--name", "m"+strconv.Itoa(i), "--data-dir", filepath.Join(dir, strconv.Itoa(i)),
			"--listen-client-urls", "http://"+h+":2379", "--advertise-client-urls", "http://"+h+":2379",
			"--listen-peer-urls", "http://"+h+":2380", "--initial-advertise-peer-urls", "http://"+h+":2380",
			"--initial-cluster", initial)
		must(b, cmd.Start())
		procs = append(procs, cmd)
	}
	awaitHealthy(b, hosts)
	took := time.Since(began)
	for _, p := range procs {
		_ = p.Process.Signal(syscall.SIGKILL)
		_ = p.Wait()
	}
	return took
}

func formQuorate(b *testing.B) time.Duration {
	r := newRig(b)
	r.trio()
	var hosts []string
	began := time.Now()
	for _, h := range r.nodes {
		h.start()
		hosts = append(hosts, h.addr)
	}
	awaitHealthy(b, hosts)
	took := time.Since(began)
	r.end()
	r.nodes = nil
	return took
}

// BenchmarkReplacing measures, from the start of a new machine's agent to its
// vote, how long a dead member stays unreplaced. etcd's own floor is 5 s.
func BenchmarkReplacing(b *testing.B) {
	for b.Loop() {
		r := newRig(b)
		_, _, c := r.trio()
		for _, h := range r.nodes {
			h.start()
		}
		r.voters(time.Minute, "a", "b", "c")
		r.put(r.client("a", "b", "c"), "k", "v")
		alive, gone := []string{"a", "b"}, c
		var took []time.Duration
		for i := range pairs {
			gone.crash()
			name := "d" + strconv.Itoa(i)
			h := r.machine(name, 20+i)
			r.list(append(slices.Clone(alive), name)...)
			h.start()
			took = append(took, r.voters(time.Minute, append(slices.Clone(alive), name)...))
			gone = h
		}
		b.ReportMetric(median(took).Seconds(), "s-to-vote")
		b.Logf("replacing a dead member: median %s of %v", round(median(took)), took)
		r.end()
		r.nodes = nil
	}
}

// BenchmarkIdle measures the agents beside a settled cluster, for half a minute.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		r := newRig(b)
		r.trio()
		for _, h := range r.nodes {
			h.start()
		}
		r.voters(time.Minute, "a", "b", "c")
		time.Sleep(45 * time.Second) // settling: what is measured is the rest
		ticks := map[string]int{}
		for n, h := range r.nodes {
			ticks[n] = cpuTicks(b, h.agent.Process.Pid)
		}
		const window = 30 * time.Second
		time.Sleep(window)
		var rss, cpu float64
		for n, h := range r.nodes {
			rss = max(rss, residentMB(b, h.agent.Process.Pid))
			cpu = max(cpu, float64(cpuTicks(b, h.agent.Process.Pid)-ticks[n])/100/window.Seconds()*100)
		}
		b.ReportMetric(rss, "MB-resident")
		b.ReportMetric(cpu, "%core")
		b.Logf("an agent beside a settled etcd, the largest of three: %.0f MB resident, %.2f %% of a core", rss, cpu)
		r.end()
		r.nodes = nil
	}
}

func cpuTicks(b *testing.B, pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	sys, _ := strconv.Atoi(f[12])
	return user + sys
}

func residentMB(b *testing.B, pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	var kb float64
	for _, line := range strings.Split(string(raw), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			_, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb)
			must(b, err)
		}
	}
	return kb / 1024
}

// BenchmarkDeciding measures one decision of a keeper, on facts taken from a
// real one.
func BenchmarkDeciding(b *testing.B) {
	r := newRig(b)
	r.trio()
	for _, h := range r.nodes {
		h.start()
	}
	r.voters(time.Minute, "a", "b", "c")
	var o plan.Observation
	for _, h := range r.nodes {
		var e struct {
			Decision    plan.Decision    `json:"decision"`
			Observation plan.Observation `json:"observation"`
		}
		resp, err := http.Get(h.url(2378) + "/v1/explain")
		must(b, err)
		must(b, json.NewDecoder(resp.Body).Decode(&e))
		resp.Body.Close()
		if e.Decision.Verb == "keep" {
			o = e.Observation
		}
	}
	r.end()
	r.nodes = nil
	for b.Loop() {
		if plan.Decide(o).Verb != "keep" {
			b.Fatal("not the keeper's decision")
		}
	}
}
