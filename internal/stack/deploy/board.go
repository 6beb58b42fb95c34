package deploy

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// quiet is how long a plain display says nothing when nothing happens.
const quiet = 30 * time.Second

// Board shows the progress of one or more regions: on a terminal one line each,
// rewritten in place; elsewhere one line an event. It is safe for concurrent use.
type Board struct {
	out      io.Writer
	width    int // of the terminal; 0: it is none
	began    time.Time
	mu       sync.Mutex
	rows     []row
	drawn    int // lines that the last drawing took
	lastSaid map[string]time.Time
}

type row struct {
	region string
	p      Progress
}

// NewBoard is a board of these regions. Width 0 means that out is no terminal.
func NewBoard(out io.Writer, width int, regions ...string) *Board {
	b := &Board{out: out, width: width, began: time.Now(), lastSaid: map[string]time.Time{}}
	for _, r := range regions {
		b.rows = append(b.rows, row{region: r})
	}
	return b
}

// Show takes a region's progress in.
func (b *Board) Show(region string, p Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.width == 0 {
		b.say(region, p, time.Now())
		return
	}
	for i := range b.rows {
		if b.rows[i].region == region {
			b.rows[i].p = p
		}
	}
	b.draw(time.Now())
}

// say writes what is new, and now and then that nothing is.
func (b *Board) say(region string, p Progress, now time.Time) {
	for _, e := range p.New {
		fmt.Fprintf(b.out, "%s  %s  %s\n", e.Time.Format(time.TimeOnly), region, e)
	}
	if _, any := b.lastSaid[region]; len(p.New) > 0 || !any {
		b.lastSaid[region] = now
	} else if now.Sub(b.lastSaid[region]) >= quiet {
		b.lastSaid[region] = now
		fmt.Fprintf(b.out, "%s  %s  still at it: %s, %s\n", now.Format(time.TimeOnly), region, count(p), b.elapsed(now))
	}
}

// draw rewrites the rows; the cursor ends below the last.
func (b *Board) draw(now time.Time) {
	var s strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&s, "\x1b[%dA", b.drawn)
	}
	for _, r := range b.rows {
		line := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", r.region, count(r.p), b.elapsed(now), r.p.Last)), " ")
		if cells := []rune(line); len(cells) >= b.width {
			line = string(cells[:b.width-1])
		}
		s.WriteString("\r\x1b[K" + line + "\n")
	}
	b.drawn = len(b.rows)
	io.WriteString(b.out, s.String())
}

func (b *Board) elapsed(now time.Time) time.Duration { return now.Sub(b.began).Round(time.Second) }

func count(p Progress) string {
	if p.Total == 0 {
		return fmt.Sprintf("%d resources done", p.Done)
	}
	return fmt.Sprintf("%d/%d resources", min(p.Done, p.Total), p.Total)
}
