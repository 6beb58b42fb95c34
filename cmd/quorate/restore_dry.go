package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/replay"
)

// What a restore takes, for an estimate: rough figures of two cores and one disk with
// 1 KiB values; another machine may be twice as fast or slow.
const (
	unpackSpeed = 300 << 20 // bytes of a database a second
	openSpeed   = 400 << 20 // likewise, to begin a replay on it
	replaySpeed = 60_000    // entries a second
)

// rehearsedLog is how much of a log, as stored, a dry run reads unasked.
const rehearsedLog = 256 << 20

// bytesRead is what a dry run has read every byte of, and so knows to be whole.
type bytesRead struct {
	Snapshot bool `json:"snapshot"`
	Log      bool `json:"log"`
}

// of says what is known to be whole, and what only a restore would find.
func (r bytesRead) of(p replay.Plan) string {
	log, snapshot := "", "of the snapshot that it is there, and its size; its bytes were not read: --verify reads them"
	switch {
	case r.Log && p.Segments > 0:
		log = "every byte of the log; "
	case p.Segments > 0:
		log = fmt.Sprintf("of the log's %s a few segments alone; ", size(p.Bytes))
	}
	if r.Snapshot {
		snapshot = "every byte of the snapshot"
	}
	return log + snapshot
}

// rehearse is a dry run: it looks for what a restore would find, and says what it
// has not looked at.
func (c *restoreCmd) rehearse(ctx context.Context, st *storedBackups, src replay.Source, plans []replay.Plan, out io.Writer) error {
	look := st.objectThere
	if c.Verify {
		look = st.objectWhole
	}
	plans, refused := c.there(ctx, plans, look)
	p, read := plans[0], bytesRead{Snapshot: c.Verify && refused == nil}
	if refused == nil && (c.Verify || p.Bytes <= rehearsedLog) {
		p, refused = p.Whole(ctx, src)
		read.Log = refused == nil
	}
	if refused == nil {
		refused = c.refusal(ctx, src, p)
	}
	return errors.Join(printRestorePlan(out, c.Output, p, read, time.Now()), refused)
}

// objectWhole reads a plan's snapshot to its end.
func (s *storedBackups) objectWhole(ctx context.Context, p replay.Plan) error {
	if err := s.objectThere(ctx, p); err != nil {
		return err
	}
	if err := backup.Verify(ctx, s.sealed, p.Base); err != nil {
		return fmt.Errorf("%s: %w", p.Base.Key, err)
	}
	return nil
}

// restorePlan is what --dry-run says.
type restorePlan struct {
	replay.Plan
	Entries  uint64        `json:"entries"`  // of the log, at most
	Expected time.Duration `json:"expected"` // to take
	Until    time.Time     `json:"until"`    // everything committed by then is in it
	Loss     time.Duration `json:"loss"`     // what was written in that time is lost, if the cluster wrote until now
	Read     bytesRead     `json:"read"`
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

func printRestorePlan(out io.Writer, format string, p replay.Plan, read bytesRead, now time.Time) error {
	r := planOf(p, now)
	r.Broken, r.Read = p.Damage(), read
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
	fmt.Fprintf(w, "checked\t%s\n", read.of(p))
	if why := p.Damage(); why != "" {
		fmt.Fprintf(w, "BROKEN\t%s\n", why)
	}
	for _, b := range p.Passed {
		fmt.Fprintf(w, "PASSED OVER\t%s: %s\n", b.Key, b.Why)
	}
	return w.Flush()
}
