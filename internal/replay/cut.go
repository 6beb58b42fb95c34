package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cut is where a restore ends: at the first of an index, a revision or a moment.
// At most one is set; the zero Cut is everything that is stored.
type Cut struct {
	Index    uint64 // of the last entry that is applied
	Revision int64  // after the entry that makes it
	// Time is by the clock of the node that wrote the log, which notes it once a
	// segment: what is restored was all committed by then, and may lack what was
	// committed in the half second before.
	Time time.Time
}

// ParseCut reads what people type: a revision, index=N, or a time.
func ParseCut(s string) (Cut, error) {
	if n, isIndex := strings.CutPrefix(s, "index="); isIndex {
		index, err := strconv.ParseUint(n, 10, 64)
		if err != nil || index == 0 {
			return Cut{}, fmt.Errorf("%q: want index=N, N from 1", s)
		}
		return Cut{Index: index}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n < 1 {
			return Cut{}, fmt.Errorf("%q: a revision is 1 or more", s)
		}
		return Cut{Revision: n}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00"} {
		if at, err := time.Parse(layout, s); err == nil {
			return Cut{Time: at}, nil
		}
	}
	return Cut{}, fmt.Errorf("%q: want a revision, index=N, or a time with its zone such as 2026-01-31T12:00:00Z", s)
}

func (c Cut) String() string {
	switch {
	case c.Index > 0:
		return fmt.Sprintf("index %d", c.Index)
	case c.Revision > 0:
		return fmt.Sprintf("revision %d", c.Revision)
	case !c.Time.IsZero():
		return c.Time.UTC().Format(time.RFC3339Nano)
	}
	return "the end"
}

// reached says that an applier stands at the cut.
func (c Cut) reached(a *Applier) bool {
	return c.Index > 0 && a.Index() >= c.Index || c.Revision > 0 && a.Revision() >= c.Revision
}

// passed says that a worker stands behind it.
func (c Cut) passed(at answer) bool {
	return c.Index > 0 && at.Index > c.Index || c.Revision > 0 && at.Revision > c.Revision
}

// exact says that only the applier knows where the cut is.
func (c Cut) exact() bool { return c.Index > 0 || c.Revision > 0 }
