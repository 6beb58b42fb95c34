package agent

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

const (
	lateAfter = reportFresh // longer on its way than an agent's fastest report
	maxSpeeds = 1000        // agents of which the fastest is remembered
)

// lateness tells reports that were long on their way: an agent that was held up
// finds on its return what others sent it before, and all of that comes now. No two
// clocks need agree: what counts is how long a report took against the fastest of
// the same sender. A clock that was set makes them all late, or early; after
// reportFresh the new time counts.
type lateness struct {
	known   bool
	fastest time.Duration // from the sender's clock to ours
	since   time.Time     // of the first in a row that were late
}

// late says whether a report that comes now says too little of how things are.
func (l *lateness) late(r cluster.Report, now time.Time) bool {
	if r.At.IsZero() {
		return false
	}
	took := now.Round(0).Sub(r.At.Add(r.Age))
	slower := took - l.fastest
	switch {
	case !l.known || slower < 0:
		*l = lateness{known: true, fastest: took}
	case slower <= lateAfter:
		l.fastest += slower / 64 // clocks drift
		l.since = time.Time{}
	case l.since.IsZero():
		l.since = now
		return true
	case now.Sub(l.since) <= reportFresh:
		return true
	default:
		*l = lateness{known: true, fastest: took}
	}
	return false
}

// isLate is that of the agent at the report's peer URL. Called with mu held.
func (a *Agent) isLate(r cluster.Report, now time.Time) bool {
	l := a.speeds[r.PeerURL]
	if l == nil {
		if len(a.speeds) >= maxSpeeds { // more than there are: they name themselves
			clear(a.speeds)
		}
		l = &lateness{}
		a.speeds[r.PeerURL] = l
	}
	return l.late(r, now)
}
