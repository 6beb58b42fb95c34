package hosts

import (
	"strings"
	"testing"
	"time"
)

// good is a host that nothing speaks against, and looked makes it from changes.
func good(name string) Looked {
	port := Port{Key: "peer-port", Number: 2380}
	return Looked{Host: Host{Name: name, Address: "10.0.0.1"}, Probed: true,
		Facts: Facts{Kernel: "Linux", Arch: "x86_64", Root: true, Systemd: true, FreeProgram: 1 << 30, Clock: Clock{Known: true, Doubt: time.Millisecond}},
		Measured: Measured{Fsync: Latency{N: 300, P50: time.Millisecond, P99: 2 * time.Millisecond}, Free: 100 << 30, Here: true,
			Calls: []Call{{To: "a", Port: port}, {To: "b", Port: port}, {To: "c", Port: port}}}}
}

// known is a host's clock, off by so much.
func off(d time.Duration) func(*Looked) {
	return func(l *Looked) { l.Facts.Clock.Offset = d }
}

func runs(l *Looked) {
	l.Facts.Release, l.Facts.ReleaseID, l.Facts.Active = Manifest{Cluster: "prod", DataDir: "/data/q", Binary: "1"}, "1", true
	l.Facts.Unit, l.Facts.UnitIsOurs = "u", true
}

func TestJudge(t *testing.T) {
	wanted := Wanted{Cluster: "prod", DataDir: "/data/q", Arch: "x86_64",
		Limits: Limits{Clock: time.Second, Fsync: 100 * time.Millisecond, Free: 1 << 30, Program: 150 << 20}}
	call := func(i int, c Call) func(*Looked) {
		return func(l *Looked) { c.Port = l.Measured.Calls[i].Port; l.Measured.Calls[i] = c }
	}
	for name, c := range map[string]struct {
		a, b, c []func(*Looked)
		members []string
		nogo    string
		warn    string
	}{
		"three good hosts": {},
		"no way in":        {b: []func(*Looked){func(l *Looked) { *l = Looked{Host: l.Host, Failed: "the connection is lost"} }}, nogo: "b: the connection is lost"},
		"everything of one host at once": {a: []func(*Looked){func(l *Looked) {
			l.Facts.Arch, l.Facts.Root, l.Facts.Systemd, l.Facts.FreeProgram, l.Facts.Unit = "aarch64", false, false, 1<<20, "theirs"
			l.Probed = false
		}}, nogo: "a: it is Linux aarch64, and the binary is for Linux x86_64: give --binary of its kind\n" +
			"a: we are not root there: log in as root, or let sudo work without a password\n" +
			"a: systemd does not run there\n" +
			"a: only 1 MiB are free for the program, which takes 150 MiB\n" +
			"a: a quorate.service is there that `quorate ssh deploy` has not made"},
		"a slow disk":        {a: []func(*Looked){func(l *Looked) { l.Measured.Fsync.P99 = 30 * time.Millisecond }}, warn: "a: its disk is slow: 1 of 100 writes takes 30ms or more; etcd wants less than 10ms"},
		"a disk too slow":    {a: []func(*Looked){func(l *Looked) { l.Measured.Fsync.P99 = 301 * time.Millisecond }}, nogo: "a: its disk is too slow: 1 of 100 writes takes 301ms or more, and 100ms is the limit (--max-fsync)"},
		"little room":        {b: []func(*Looked){func(l *Looked) { l.Measured.Free = 3 << 30 }}, warn: "b: only 3.0 GiB are free for the data"},
		"too little room":    {b: []func(*Looked){func(l *Looked) { l.Measured.Free = 300 << 20 }}, nogo: "b: only 300 MiB are free for the data, and 1.0 GiB is the least"},
		"a port is taken":    {c: []func(*Looked){func(l *Looked) { l.Measured.Taken = []Taken{{Port{"client-port", 2379}, "etcd (process 7)"}} }}, nogo: "c: client-port 2379 is taken by etcd (process 7)"},
		"our own has it":     {c: []func(*Looked){runs, func(l *Looked) { l.Measured.Taken = []Taken{{Port{"client-port", 2379}, "etcd"}} }}},
		"a translated host":  {a: []func(*Looked){func(l *Looked) { l.Measured.Here = false }}, nogo: "a: 10.0.0.1 is no address of this host: give --listen-host 0.0.0.0 if it is translated"},
		"data is there":      {a: []func(*Looked){func(l *Looked) { l.Measured.Data = true }}, warn: "a: etcd's data of an earlier life is there, and is taken up again"},
		"another etcd":       {a: []func(*Looked){func(l *Looked) { l.Facts.Others = []string{"etcd.service"} }}, warn: "a: etcd.service runs there"},
		"a firewall":         {a: []func(*Looked){call(1, Call{To: "b", Error: "no answer"})}, nogo: "a: it does not reach b at 2380: no answer"},
		"somebody else":      {a: []func(*Looked){call(1, Call{To: "b", Other: "c"})}, nogo: "a: it does not reach b at 2380: host c answers there"},
		"unmeasured":         {a: []func(*Looked){func(l *Looked) { l.Measured.Errors = []string{"writing to /data: no space"} }}, nogo: "a: writing to /data: no space"},
		"another cluster's":  {a: []func(*Looked){runs, func(l *Looked) { l.Facts.Release.Cluster = "test" }}, nogo: "a: it belongs to cluster test, not prod"},
		"data elsewhere":     {a: []func(*Looked){runs, func(l *Looked) { l.Facts.Release.DataDir = "/old" }}, nogo: "a: its data is in /old, not in /data/q: a cluster's data does not move"},
		"members forgotten":  {members: []string{"a", "d", "b", "e"}, nogo: "d, e: in the cluster, and not among --hosts: name all, or take it out with `quorate ssh destroy`"},
		"one clock ahead":    {a: []func(*Looked){off(5 * time.Second)}, nogo: "a: its clock is 5s ahead of the others', and 1s is the limit: is NTP running?"},
		"one clock a little": {a: []func(*Looked){off(-400 * time.Millisecond)}, warn: "a: its clock is 400ms behind the others'"},
		"our own clock":      {a: []func(*Looked){off(time.Hour)}, b: []func(*Looked){off(time.Hour)}, c: []func(*Looked){off(time.Hour + time.Millisecond)}, warn: "here: this machine's clock is 1h0m0s behind the hosts'"},
		"a vague clock":      {a: []func(*Looked){off(1400 * time.Millisecond), func(l *Looked) { l.Facts.Clock.Doubt = 1300 * time.Millisecond }}},
		"no clock":           {a: []func(*Looked){func(l *Looked) { l.Facts.Clock = Clock{} }}, warn: "a: its clock cannot be read"},
		"two of three clocks known, one off": {a: []func(*Looked){off(3 * time.Second)}, b: []func(*Looked){func(l *Looked) { l.Facts.Clock = Clock{} }},
			nogo: "a: its clock is 3s ahead of this machine's, and 1s is the limit: is NTP running?", warn: "b: its clock cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			var all []Looked
			for i, changes := range [][]func(*Looked){c.a, c.b, c.c} {
				l := good(string("abc"[i]))
				for _, change := range changes {
					change(&l)
				}
				all = append(all, l)
			}
			w := wanted
			w.Members = c.members
			v := Judge(w, all)
			if got := strings.Join(v.NoGo, "\n"); got != c.nogo {
				t.Errorf("no-go\n got %s\nwant %s", got, c.nogo)
			}
			if got := strings.Join(v.Warnings, "\n"); got != c.warn {
				t.Errorf("warnings\n got %s\nwant %s", got, c.warn)
			}
			if v.Go() != (c.nogo == "") {
				t.Errorf("go: %t", v.Go())
			}
		})
	}
}
