package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// What makes a disk slow, and well again. Etcd calls an election after a second
// of silence, and a leader's disk is silence to those who wait for their writes.
const (
	fsyncSlow = time.Second            // twice in a row: slow
	fsyncHung = 3 * time.Second        // once is enough
	fsyncWell = 100 * time.Millisecond // five in a row: well
	beatsSlow = 2
	beatsWell = 5
)

// Pulse judges a disk by how long it takes, again and again, to make a few bytes
// durable. It takes fewer beats to fall ill than to recover, so that a disk on
// the brink does not change its mind all the time. The zero Pulse is well.
type Pulse struct {
	Slow bool
	row  int // beats in a row that speak for the other state
}

// Beat is the pulse after one more measurement; one that is still under way
// counts with what it has taken so far.
func (p Pulse) Beat(took time.Duration) Pulse {
	speaks, needed := took >= fsyncSlow, beatsSlow
	if p.Slow {
		speaks, needed = took < fsyncWell, beatsWell
	}
	switch {
	case !speaks:
		p.row = 0
	case took >= fsyncHung:
		p.row = needed
	default:
		p.row++
	}
	if p.row >= needed {
		return Pulse{Slow: !p.Slow}
	}
	return p
}

// The kinds of ailment. None of them is a reason to remove anybody.
const (
	ailsPaused    = "paused"
	ailsSlow      = "slow"
	ailsHung      = "hung"
	ailsCutOff    = "cut off"
	ailsDown      = "down"
	ailsStarting  = "starting"
	ailsUnheard   = "unheard"
	ailsUncertain = "uncertain"
	ailsUnproven  = "unreached"
)

// Passes says that an ailment of that kind is over once the member's own agent
// says that its etcd is well, whoever else has not heard of it yet.
func Passes(kind string) bool {
	switch kind {
	case ailsStarting, ailsDown, ailsUnheard, ailsUncertain:
		return true
	}
	return false
}

// ailment is what is the matter with a voter, as far as is known; the zero value
// when nothing is. Of one that has fallen silent it is, for --dead-after, what was
// known last: reports are late where machines are busy.
func (s standing) ailment(o Observation) cluster.Ailment {
	f, last := s.finding(o), s.probe.Ailed
	if silent := f.Kind == ailsUnheard || f.Kind == ailsUncertain; silent && last.Kind != "" && s.probe.Silent < o.Settings.DeadAfter {
		last.Why += ", as was last heard"
		return last
	}
	return f
}

// finding is what this observation tells of a voter, by its own agent's word and
// the others'. Its own word comes first: it sees the process and the disk.
func (s standing) finding(o Observation) cluster.Ailment {
	r, heard := o.reportOf(s.Member) // none is the zero report, in which nothing is the matter
	own := s.ID == o.Etcd.Value().MemberID
	care := r.Care
	if own {
		care, heard = o.Care.Own, true
	}
	is := func(kind string, why ...any) cluster.Ailment {
		return cluster.Ailment{Member: s.ID, Kind: kind, Why: fmt.Sprint(why...)}
	}
	switch {
	case care.Paused:
		return is(ailsPaused, "its etcd is stopped by a signal")
	case care.Slow:
		return is(ailsSlow, "its disk takes ", care.Fsync.Round(time.Millisecond), " to make a few bytes durable")
	case s.healthy:
		return cluster.Ailment{}
	case care.Hung:
		return is(ailsHung, "its etcd runs, and does not answer its own agent")
	case heard && !r.Etcd.Running:
		return is(ailsDown, "its etcd does not run")
	case heard && r.Etcd.MemberID == 0:
		return is(ailsStarting, "its etcd runs, and has not answered its own agent yet")
	case heard && r.Etcd.MemberID != s.ID:
		return is(ailsUnheard, "another member's etcd runs there")
	case heard && !r.Etcd.Healthy:
		return is(ailsCutOff, "its etcd runs, and follows no leader")
	case heard:
		return is(ailsUnproven, "its etcd is well, as its own agent says, and does not answer from here")
	}
	switch by := o.hearers(s.Name); {
	case len(by) > 0:
		return is(ailsCutOff, "it does not answer from here, and ", strings.Join(by, " "), " hears its agent")
	case !s.certain(o):
		return is(ailsUncertain, "its agent is silent, and too few others' answer to be sure that it is dead")
	}
	return is(ailsUnheard, "nobody hears its agent")
}

// Ailment is a voter's, with its name.
type Ailment struct {
	Name string
	cluster.Ailment
}

// Ailments are those of all voters, in the keeper's eyes.
func Ailments(o Observation) (all []Ailment) {
	if !o.IsKeeper() {
		return nil
	}
	for _, s := range survey(o).voters {
		if a := s.ailment(o); a.Kind != "" {
			all = append(all, Ailment{s.Label(), a})
		}
	}
	return all
}

// slow says that the voter's disk is.
func (s standing) slow(o Observation) bool { return s.ailment(o).Kind == ailsSlow }

// burdened is how long the lead stays, at least, after a slow leader has handed
// it over: where all disks are on the brink it would go round and round.
const burdened = time.Minute

// Unburdens is why a leader hands over whose disk is slow.
const Unburdens = "the leader's disk is slow, and another voter's is not: it hands over"

// unburden moves the lead off a slow disk. Everybody stays a member.
func unburden(o Observation, h house) (Decision, bool) {
	if !o.Care.Own.Slow || within(o.Now.Sub(o.Care.Unburdened), burdened) {
		return Decision{}, false
	}
	to, ok := successor(o, h)
	if !ok || to.slow(o) {
		return do("keep", "the leader's disk is slow, and no other voter is fit to lead", nil), true
	}
	return do("keep", Unburdens, []any{o.Care.Own.Fsync.Round(time.Millisecond), " for a few bytes"}, TransferLeadership{to.ID, to.Label()}), true
}

// withAilments adds to a reason what is known of those that are not well.
func withAilments(o Observation, d Decision) Decision {
	waits := len(joiners(o, survey(o))) > 0
	for _, a := range Ailments(o) {
		switch {
		case a.Kind == ailsUnheard || a.Kind == ailsDown: // the reason says so already
		case a.Kind == ailsUncertain && !waits: // nobody asks whether it is dead
		default:
			d.Detail += "; " + a.Name + ": " + a.Kind + ", " + a.Why
		}
	}
	return d
}
