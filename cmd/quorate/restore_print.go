package main

import (
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/replay"
)

// What a restore takes, for an estimate: rough figures of two cores and one disk with
// 1 KiB values; another machine may be twice as fast or slow.
const (
	unpackSpeed = 300 << 20 // bytes of a database a second
	openSpeed   = 400 << 20 // likewise, to begin a replay on it
	replaySpeed = 60_000    // entries a second
)

// restorePlan is what --dry-run says.
type restorePlan struct {
	replay.Plan
	Entries  uint64        `json:"entries"`  // of the log, at most
	Expected time.Duration `json:"expected"` // to take
	Until    time.Time     `json:"until"`    // everything committed by then is in it
	Loss     time.Duration `json:"loss"`     // what was written in that time is lost, if the cluster wrote until now
}

func planOf(p replay.Plan, now time.Time) restorePlan {
	r := restorePlan{Plan: p, Until: p.Reaches(), Loss: now.Sub(p.Reaches())}
	seconds := float64(p.Base.Size) / unpackSpeed
	if p.Segments > 0 {
		r.Entries = p.Last.Index - min(p.Base.Index, p.Last.Index)
		seconds += float64(p.Base.Size)/openSpeed + float64(r.Entries)/replaySpeed
	}
	r.Expected = time.Duration(seconds * float64(time.Second))
	return r
}

func printRestorePlan(out io.Writer, format string, p replay.Plan, now time.Time) error {
	r := planOf(p, now)
	if format == "json" {
		return writeJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "to\t%s\n", p.Cut)
	fmt.Fprintf(w, "snapshot\t%s\n\tepoch %d, revision %d, index %d, %s stored as %s\n", p.Base.Key, p.Base.Epoch, p.Base.Revision, p.Base.Index, size(p.Base.Size), size(p.Base.StoredSize))
	if p.Segments == 0 {
		fmt.Fprintln(w, "log\tnothing behind the snapshot")
	} else {
		fmt.Fprintf(w, "log\tchain %d, segments %d to %d, %s stored\n\tup to index %d: %d entries, revision %d or more\n",
			p.Last.Chain, p.From.Number+1, p.Last.Number, size(p.Bytes), p.Last.Index, r.Entries, p.Last.Revision)
	}
	fmt.Fprintf(w, "takes\tabout %s\n", r.Expected.Round(100*time.Millisecond)+100*time.Millisecond)
	fmt.Fprintf(w, "loses\twhat was written after %s (%s ago)\n", r.Until.UTC().Format(time.RFC3339Nano), r.Loss.Round(100*time.Millisecond))
	if why := p.Damage(); why != "" {
		fmt.Fprintf(w, "BROKEN\t%s\n", why)
	}
	for _, b := range p.Passed {
		fmt.Fprintf(w, "PASSED OVER\t%s: %s\n", b.Key, b.Why)
	}
	return w.Flush()
}

// restored is what a restore says at its end.
type restored struct {
	replay.Result
	Took  time.Duration `json:"took"`
	Token string        `json:"token"`
	Dirs  []string      `json:"data_dirs"`
}

func (c *restoreCmd) printRestored(out io.Writer, r replay.Result, took time.Duration) error {
	all := restored{Result: r, Took: took, Token: c.tokenOf(r.Plan)}
	for _, t := range c.targets(c.To, "") {
		dir := t.DataDir
		if c.alone() {
			dir = c.To
		}
		all.Dirs = append(all.Dirs, filepath.Clean(dir))
	}
	if c.Output == "json" {
		return writeJSON(out, all)
	}
	fmt.Fprintf(out, "restored revision %d (index %d) in %s: snapshot %s and %d entries of the log\n",
		r.Revision, r.Index, took.Round(10*time.Millisecond), r.Plan.Base.Key, r.Entries)
	if r.Checked > 0 {
		fmt.Fprintf(out, "at revision %d it hashes as the live cluster did\n", r.Checked)
	}
	if c.Bump > 0 {
		fmt.Fprintf(out, "the new cluster begins at revision %d; older ones are compacted\n", r.Revision+int64(c.Bump))
	}
	for _, dir := range all.Dirs {
		fmt.Fprintf(out, "data directory: %s\n", dir)
	}
	return nil
}

// progressTo says how far a restore is, every few seconds.
func progressTo(out io.Writer) replay.Progress {
	var mu sync.Mutex
	last := time.Now()
	return func(what string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		if what == "snapshot" {
			done, total = done>>20, total>>20
		}
		fmt.Fprintf(out, "%s: %d of %d %s\n", what, done, total, map[string]string{"snapshot": "MiB", "log": "segments"}[what])
	}
}
