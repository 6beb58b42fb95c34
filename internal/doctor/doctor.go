// Package doctor judges whether a machine is fit to keep a member of a cluster:
// pure verdicts, with their numbers, over what has been measured. It looks at
// nothing itself.
package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Facts are what has been measured on one machine. A field that was not
// measured says why in its Err, or is absent.
type Facts struct {
	Now    time.Time
	Disk   Disk
	Ports  []Port
	Peers  []Peer
	Store  *Store // nil: none is configured
	Certs  []Cert
	Etcd   string // version that this node would run
	Config error  // what is wrong with the configuration
}

// Disk is where the data is, or will be. Sizes are bytes.
type Disk struct {
	Path     string
	Err      error
	N        int // writes made
	P50, P99 time.Duration
	Free     int64
	DB       int64 // of this node's database, 0 when there is none
	Quota    int64 // what the database may grow to
}

// Port is one that this node needs.
type Port struct {
	Use    string
	Number int
	Free   bool
	Ours   bool   // this node's own agent or etcd holds it
	Holder string // who else
	Err    error
}

// Peer is another node's agent, as it is seen from here.
type Peer struct {
	Name     string
	Err      error         // it does not answer
	Took     time.Duration // there and back
	Ahead    time.Duration // its clock, against ours; right to half of Took
	MTU      int           // of the path, as the kernel knows; 0: not known
	Large    int           // bytes of an answer too large for one packet
	LargeErr error         // that answer did not come
	Etcd     string        // version that runs there, if one does
	Quorate  string
}

// Store is what was tried below our prefix.
type Store struct {
	Name       string
	Create     error // create-if-absent does not hold, or is not allowed
	Put, Get   error
	List, Drop error
	Took       time.Duration // of a put
	Ahead      time.Duration // its clock against ours, to a second or so
	ClockKnown bool
}

// Cert is one certificate in a file.
type Cert struct {
	Key  string // the setting that names the file
	File string
	Name string
	Ends time.Time
	Err  error
}

// Verdict is go, warn or no-go.
type Verdict string

// The verdicts.
const (
	Go   Verdict = "go"
	Warn Verdict = "warn"
	NoGo Verdict = "no-go"
)

// Check is one line of the table.
type Check struct {
	Name     string  `json:"check"`
	Verdict  Verdict `json:"verdict"`
	Measured string  `json:"measured"`
	Say      string  `json:"say,omitempty"` // what to do, when it is not go
}

// What is too much, or too little. Etcd's own guide asks for a 99th percentile
// of fsync below 10 ms; its election timeout is a second.
const (
	fsyncWarn, fsyncNo = 10 * time.Millisecond, 500 * time.Millisecond
	clockWarn, clockNo = 250 * time.Millisecond, 5 * time.Second
	storeClock         = 2 * time.Minute // signed requests are refused beyond minutes
	farWarn, farNo     = 50 * time.Millisecond, 500 * time.Millisecond
	leastMTU           = 1280
	certWarn           = 14 * 24 * time.Hour
	roomNo             = 1 << 30
	storeSlow          = 2 * time.Second
)

// Judge gives a line for each thing that was looked at, in the order in which a
// person would mend them.
func Judge(f Facts) []Check {
	var out []Check
	add := func(name string, v Verdict, measured, say string) {
		out = append(out, Check{name, v, measured, say})
	}
	if f.Config != nil {
		add("configuration", NoGo, "refused", strings.ReplaceAll(f.Config.Error(), "\n", "; "))
	} else {
		add("configuration", Go, "accepted", "")
	}
	out = append(out, disk(f.Disk)...)
	for _, p := range f.Ports {
		out = append(out, port(p))
	}
	for _, p := range f.Peers {
		out = append(out, peer(p)...)
	}
	out = append(out, versions(f), clocks(f))
	out = append(out, stored(f.Store)...)
	for _, c := range f.Certs {
		out = append(out, cert(c, f.Now))
	}
	return out
}

// Fit says that nothing is a no-go.
func Fit(all []Check) bool {
	return !slices.ContainsFunc(all, func(c Check) bool { return c.Verdict == NoGo })
}

func disk(d Disk) []Check {
	if d.Err != nil {
		return []Check{{"disk " + d.Path, NoGo, "not writable", d.Err.Error()}}
	}
	fsync := Check{"fsync", Go, fmt.Sprintf("p99 %s, median %s of %d writes", round(d.P99), round(d.P50), d.N), ""}
	switch {
	case d.P99 >= fsyncNo:
		fsync.Verdict, fsync.Say = NoGo, fmt.Sprintf("a leader on this disk would lose its lead: etcd wants less than %s", fsyncWarn)
	case d.P99 >= fsyncWarn:
		fsync.Verdict, fsync.Say = Warn, fmt.Sprintf("every write waits for it: etcd wants less than %s", fsyncWarn)
	}
	// Beside the database there must be room for it to grow, for its copy while it
	// is defragmented or restored, and for the log.
	room := Check{"room", Go, fmt.Sprintf("%s free; the database has %s of its quota of %s", bytes(d.Free), bytes(d.DB), bytes(d.Quota)), ""}
	grows := max(d.Quota-d.DB, 0)
	switch {
	case d.Free < roomNo || d.Free < d.DB:
		room.Verdict, room.Say = NoGo, "too little for a database and its copy"
	case d.Free < grows+d.Quota:
		room.Verdict, room.Say = Warn, fmt.Sprintf("a database that has come to its quota, and its copy, need %s", bytes(grows+d.Quota))
	}
	return []Check{fsync, room}
}

func port(p Port) Check {
	c := Check{Name: fmt.Sprintf("port %d (%s)", p.Number, p.Use), Verdict: Go, Measured: "free"}
	switch {
	case p.Ours:
		c.Measured = "held by this node"
	case p.Free:
	case p.Err != nil:
		c.Verdict, c.Measured, c.Say = NoGo, "cannot be opened", p.Err.Error()
	default:
		c.Verdict, c.Measured, c.Say = NoGo, "in use", "held by "+orElse(p.Holder, "a process that cannot be seen")
	}
	return c
}

func peer(p Peer) []Check {
	reach := Check{"reach " + p.Name, Go, fmt.Sprintf("%s there and back", round(p.Took)), ""}
	switch {
	case p.Err != nil:
		return []Check{{"reach " + p.Name, Warn, "no agent answers", p.Err.Error()}}
	case p.Took >= farNo:
		reach.Verdict, reach.Say = NoGo, "too far for etcd's timeouts: raise its heartbeat interval and election timeout"
	case p.Took >= farWarn:
		reach.Verdict, reach.Say = Warn, "far for etcd's heartbeat of 100 ms"
	}
	path := Check{"path to " + p.Name, Go, fmt.Sprintf("MTU %d, %s in one answer", p.MTU, bytes(int64(p.Large))), ""}
	if p.MTU == 0 {
		path.Measured = fmt.Sprintf("%s in one answer", bytes(int64(p.Large)))
	}
	switch {
	case p.LargeErr != nil:
		path.Verdict, path.Measured, path.Say = NoGo, "small packets arrive, large ones do not", "the MTU on the way is smaller than this machine's: "+p.LargeErr.Error()
	case p.MTU != 0 && p.MTU < leastMTU:
		path.Verdict, path.Say = Warn, fmt.Sprintf("an MTU below %d", leastMTU)
	}
	return []Check{reach, path}
}

// versions holds what this node would run against what runs elsewhere.
func versions(f Facts) Check {
	lines := map[string]bool{line(f.Etcd): true}
	parts := []string{"here " + orElse(f.Etcd, "unknown")}
	for _, p := range f.Peers {
		if p.Etcd != "" {
			lines[line(p.Etcd)] = true
			parts = append(parts, p.Name+" "+p.Etcd)
		}
	}
	delete(lines, "")
	c := Check{"etcd versions", Go, strings.Join(parts, ", "), ""}
	switch {
	case f.Etcd == "":
		c.Verdict, c.Say = NoGo, "the etcd to run does not tell its version"
	case far(lines):
		c.Verdict, c.Say = NoGo, "more than one minor version apart: a member of this one cannot join"
	case len(lines) == 2:
		c.Verdict, c.Say = Warn, "two minor versions: finish the upgrade"
	}
	return c
}

func line(v string) string {
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// far says that two lines differ by more than one minor version.
func far(lines map[string]bool) bool {
	least, most := 1<<30, 0
	for l := range lines {
		var major, minor int
		_, _ = fmt.Sscanf(l, "%d.%d", &major, &minor)
		n := major*1000 + minor
		least, most = min(least, n), max(most, n)
	}
	return most-least > 1 // of none and of one it is less
}

// clocks judges the offset that is largest, less what the way there leaves open.
func clocks(f Facts) Check {
	c := Check{"clock", Go, "nobody to compare with", ""}
	worst, who := time.Duration(0), ""
	for _, p := range f.Peers {
		if off := (p.Ahead.Abs() - p.Took/2); p.Err == nil && (who == "" || off > worst) {
			worst, who = off, p.Name
			c.Measured = fmt.Sprintf("%s %s", who, ahead(p.Ahead))
		}
	}
	switch {
	case worst >= clockNo:
		c.Verdict, c.Say = NoGo, "leases, backups and certificates go by the clock: run NTP"
	case worst >= clockWarn:
		c.Verdict, c.Say = Warn, "run NTP"
	}
	if f.Store == nil || !f.Store.ClockKnown {
		return c
	}
	c.Measured += "; the store " + ahead(f.Store.Ahead.Truncate(time.Second))
	if f.Store.Ahead.Abs() >= storeClock {
		c.Verdict, c.Say = NoGo, "a store refuses requests that are signed minutes off: run NTP"
	}
	return c
}

func ahead(d time.Duration) string {
	if d < 0 {
		return round(-d).String() + " behind"
	}
	return round(d).String() + " ahead"
}

func stored(s *Store) []Check {
	if s == nil {
		return []Check{{"store", Warn, "none", "without a store there are no backups, and a total loss is final"}}
	}
	cond := Check{"store condition", Go, "a second create of one key conflicts", ""}
	if s.Create != nil {
		cond = Check{"store condition", NoGo, s.Name, s.Create.Error()}
	}
	rights := Check{"store rights", Go, fmt.Sprintf("list, get, put, delete; a put takes %s", round(s.Took)), ""}
	for _, r := range []struct {
		verb string
		err  error
	}{{"list", s.List}, {"put", s.Put}, {"get", s.Get}, {"delete", s.Drop}} {
		if r.err != nil {
			rights.Verdict = NoGo
			rights.Measured = s.Name
			rights.Say = strings.TrimPrefix(rights.Say+"; "+r.verb+": "+r.err.Error(), "; ")
		}
	}
	if rights.Verdict == Go && s.Took >= storeSlow {
		rights.Verdict, rights.Say = Warn, "slow: backups and decisions wait for it"
	}
	return []Check{cond, rights}
}

func cert(c Cert, now time.Time) Check {
	left := c.Ends.Sub(now)
	out := Check{"certificate " + c.Key, Go, fmt.Sprintf("%s, ends in %d days", orElse(c.Name, c.File), int(left.Hours()/24)), ""}
	switch {
	case c.Err != nil:
		out.Verdict, out.Measured, out.Say = NoGo, c.File, c.Err.Error()
	case left <= 0:
		out.Verdict, out.Measured, out.Say = NoGo, fmt.Sprintf("%s, ended %s", orElse(c.Name, c.File), c.Ends.UTC().Format(time.DateOnly)), "renew it: changed files are picked up without a restart"
	case left < certWarn:
		out.Verdict, out.Say = Warn, "renew it: changed files are picked up without a restart"
	}
	return out
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

func bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}
