package hosts

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits are what a host may not exceed.
type Limits struct {
	Clock   time.Duration // between the hosts' clocks
	Fsync   time.Duration // the slowest of a hundred writes
	Free    int64         // bytes, for the data
	Program int64         // bytes, for the program
}

// What is only worth a warning.
const (
	slowFsync  = 10 * time.Millisecond // etcd's own advice
	scarceFree = 8 << 30
	wrongClock = 250 * time.Millisecond
)

// Looked is one host, and all that is known of it. Where Failed is set, nothing
// else is known.
type Looked struct {
	Host     Host
	Failed   string
	Facts    Facts
	Probed   bool
	Measured Measured
}

// Wanted is what the deployment is to be.
type Wanted struct {
	Cluster string
	DataDir string
	Arch    string // of the binary, as uname says
	Limits  Limits
	// Members are the names of the cluster's members now; nil while none runs.
	Members []string
}

// Verdict is go or no-go, each reason with its host.
type Verdict struct {
	NoGo, Warnings []string
}

// Go says that nothing speaks against it.
func (v Verdict) Go() bool { return len(v.NoGo) == 0 }

// Judge says everything that speaks against deploying on these hosts.
func Judge(w Wanted, all []Looked) Verdict {
	j := judge{wanted: w}
	for _, l := range all {
		j.host(l)
	}
	j.clocks(all)
	j.forgotten(all)
	return j.verdict
}

type judge struct {
	wanted  Wanted
	verdict Verdict
}

func (j *judge) no(host, format string, args ...any) {
	j.verdict.NoGo = append(j.verdict.NoGo, host+": "+fmt.Sprintf(format, args...))
}

func (j *judge) warn(host, format string, args ...any) {
	j.verdict.Warnings = append(j.verdict.Warnings, host+": "+fmt.Sprintf(format, args...))
}

func (j *judge) host(l Looked) {
	name, f := l.Host.Name, l.Facts
	if l.Failed != "" {
		j.no(name, "%s", l.Failed)
		return
	}
	if f.Kernel != "Linux" || f.Arch != j.wanted.Arch {
		j.no(name, "it is %s %s, and the binary is for Linux %s: give --binary of its kind", f.Kernel, f.Arch, j.wanted.Arch)
	}
	if !f.Root {
		j.no(name, "we are not root there: log in as root, or let sudo work without a password")
	}
	if !f.Systemd {
		j.no(name, "systemd does not run there")
	}
	if f.FreeProgram < j.wanted.Limits.Program {
		j.no(name, "only %s are free for the program, which takes %s", bytes(f.FreeProgram), bytes(j.wanted.Limits.Program))
	}
	if f.Unit != "" && !f.UnitIsOurs {
		j.no(name, "a quorate.service is there that `quorate ssh deploy` has not made")
	}
	if c := f.Release.Cluster; c != "" && c != j.wanted.Cluster {
		j.no(name, "it belongs to cluster %s, not %s", c, j.wanted.Cluster)
	}
	if d := f.Release.DataDir; d != "" && d != j.wanted.DataDir {
		j.no(name, "its data is in %s, not in %s: a cluster's data does not move", d, j.wanted.DataDir)
	}
	for _, other := range f.Others {
		j.warn(name, "%s runs there", other)
	}
	if l.Probed {
		j.measured(l)
	}
}

func (j *judge) measured(l Looked) {
	name, m, limits := l.Host.Name, l.Measured, j.wanted.Limits
	for _, e := range m.Errors {
		j.no(name, "%s", e)
	}
	switch {
	case m.Fsync.N > 0 && m.Fsync.P99 > limits.Fsync:
		j.no(name, "its disk is too slow: 1 of 100 writes takes %s or more, and %s is the limit (--max-fsync)", round(m.Fsync.P99), limits.Fsync)
	case m.Fsync.P99 > slowFsync:
		j.warn(name, "its disk is slow: 1 of 100 writes takes %s or more; etcd wants less than %s", round(m.Fsync.P99), slowFsync)
	}
	switch {
	case m.Free < limits.Free:
		j.no(name, "only %s are free for the data, and %s is the least", bytes(m.Free), bytes(limits.Free))
	case m.Free < scarceFree:
		j.warn(name, "only %s are free for the data", bytes(m.Free))
	}
	if !m.Here {
		j.no(name, "%s is no address of this host: give --listen-host 0.0.0.0 if it is translated", l.Host.Address)
	}
	for _, t := range m.Taken {
		if !l.Facts.Active {
			j.no(name, "%s %d is taken%s", t.Port.Key, t.Port.Number, by(t.Holder))
		}
	}
	if m.Data && !l.Facts.Active {
		j.warn(name, "etcd's data of an earlier life is there, and is taken up again")
	}
	j.calls(name, m.Calls)
}

// calls names each pair of hosts once, with all of its ports.
func (j *judge) calls(name string, calls []Call) {
	type pair struct{ to, why string }
	ports := map[pair][]string{}
	var order []pair
	for _, c := range calls {
		if c.Error == "" && c.Other == "" {
			continue
		}
		p := pair{c.To, c.Error}
		if c.Other != "" {
			p.why = "host " + c.Other + " answers there"
		}
		if ports[p] == nil {
			order = append(order, p)
		}
		ports[p] = append(ports[p], fmt.Sprint(c.Port.Number))
	}
	for _, p := range order {
		j.no(name, "it does not reach %s at %s: %s", p.to, strings.Join(ports[p], ", "), p.why)
	}
}

// clocks compares the hosts with each other, by the median of three or more:
// then one clock that is wrong is the odd one out, be it ours. Ours is the
// measure for fewer.
func (j *judge) clocks(all []Looked) {
	var offsets []time.Duration
	for _, l := range all {
		if l.Failed == "" && l.Facts.Clock.Known {
			offsets = append(offsets, l.Facts.Clock.Offset)
		}
	}
	var norm time.Duration
	if len(offsets) >= 3 {
		slices.Sort(offsets)
		norm = offsets[len(offsets)/2]
	}
	for _, l := range all {
		c := l.Facts.Clock
		off := (c.Offset - norm).Abs() - c.Doubt
		switch {
		case l.Failed != "":
		case !c.Known:
			j.warn(l.Host.Name, "its clock cannot be read")
		case off > j.wanted.Limits.Clock:
			j.no(l.Host.Name, "its clock is %s %s %s, and %s is the limit: is NTP running?", round((c.Offset - norm).Abs()), ahead(c.Offset-norm), measure(len(offsets)), j.wanted.Limits.Clock)
		case off > wrongClock:
			j.warn(l.Host.Name, "its clock is %s %s %s", round((c.Offset - norm).Abs()), ahead(c.Offset-norm), measure(len(offsets)))
		}
	}
	if norm.Abs() > j.wanted.Limits.Clock {
		j.warn("here", "this machine's clock is %s %s the hosts'", round(norm.Abs()), ahead(-norm))
	}
}

func measure(hosts int) string {
	if hosts >= 3 {
		return "the others'"
	}
	return "this machine's"
}

func ahead(d time.Duration) string {
	if d > 0 {
		return "ahead of"
	}
	return "behind"
}

// forgotten are members that the hosts know and that this deployment does not
// name: without their line in the peers file they would count as gone, and
// forgetting is no order to remove.
func (j *judge) forgotten(all []Looked) {
	var named, missing []string
	for _, l := range all {
		named = append(named, l.Host.Name)
	}
	for _, m := range j.wanted.Members {
		if !slices.Contains(named, m) {
			missing = append(missing, m)
		}
	}
	if len(missing) > 0 {
		j.no(strings.Join(missing, ", "), "in the cluster, and not among --hosts: name all, or take it out with `quorate ssh destroy`")
	}
}

func by(holder string) string {
	if holder == "" {
		return ""
	}
	return " by " + holder
}

func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Second:
		return d.Round(time.Second)
	case d > 100*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

func bytes(n int64) string {
	switch {
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 1<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
