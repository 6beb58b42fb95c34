package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

const (
	hashRetry = time.Minute     // after a comparison that could not be made, or that found a difference
	hashAlarm = 5 * time.Second // likewise, while etcd is alarmed: until then it serves nobody
)

// integrity is what the newest comparison says of the voters of now.
type integrity struct {
	checked bool   // every voter of now has been compared, since etcd raised its alarms
	torn    string // the hashes, where no majority agrees
	odd     []cluster.MemberID
}

// integrity reads the newest comparison. Only what two rounds in a row have found
// counts against anybody: data that differs once will differ for ever, and a
// member's answer may be wrong for other reasons. Voters that did not answer
// count towards the majority that is asked for, and for no side.
func (o Observation) integrity(h house) (v integrity) {
	c := o.Care.Hashes
	if c == nil || len(c.Rounds) == 0 {
		return v
	}
	v.checked = true
	last := among(c.Last().Hashes, h)
	for _, s := range h.voters {
		_, in := last[s.ID]
		accused := o.accused(s.ID)
		v.checked = v.checked && (in || accused)
		// It answers nobody, and etcd itself has found it to differ.
		if !in && accused && len(last) >= cluster.Quorum(len(h.voters)) && (cluster.HashRound{Hashes: last}).Agree() {
			v.odd = append(v.odd, s.ID)
		}
	}
	for _, a := range o.corruptAlarms() {
		v.checked = v.checked && slices.Contains(c.Alarms, a)
	}
	if !v.checked {
		v.odd = nil
	}
	if len(c.Rounds) < 2 {
		return v
	}
	differs := map[cluster.MemberID]int{}
	for _, r := range c.Rounds {
		r.Hashes = among(r.Hashes, h)
		most, found := r.Most(cluster.Quorum(len(h.voters)))
		if !found && !r.Agree() {
			v.torn = printHashes(r, h)
		}
		for id, hash := range r.Hashes {
			if found && hash != most {
				differs[id]++
			}
		}
	}
	for _, s := range h.voters {
		if differs[s.ID] == len(c.Rounds) {
			v.odd = append(v.odd, s.ID)
		}
	}
	return v
}

// accused says that an alarm of etcd's names the member.
func (o Observation) accused(id cluster.MemberID) bool {
	return slices.ContainsFunc(o.corruptAlarms(), func(a cluster.Alarm) bool { return a.Member == id })
}

// among leaves the hashes of the voters of now.
func among(all map[cluster.MemberID]uint32, h house) map[cluster.MemberID]uint32 {
	out := map[cluster.MemberID]uint32{}
	for _, s := range h.voters {
		if hash, in := all[s.ID]; in {
			out[s.ID] = hash
		}
	}
	return out
}

func printHashes(r cluster.HashRound, h house) string {
	var parts []string
	for _, s := range h.voters {
		if hash, in := r.Hashes[s.ID]; in {
			parts = append(parts, fmt.Sprintf("%s %08x", s.Label(), hash))
		}
	}
	return fmt.Sprintf("at revision %d: %s", r.Revision, strings.Join(parts, ", "))
}

// corruptAlarms are etcd's own, as our member knows them.
func (o Observation) corruptAlarms() []cluster.Alarm {
	return slices.DeleteFunc(slices.Clone(o.Etcd.Value().Alarms), func(a cluster.Alarm) bool { return a.Kind != cluster.Corrupt })
}

// tearing is the sentence of a cluster whose members' keys differ with no
// majority for any: whoever is replaced now, or whichever backup is let go, may
// be the right one.
const tearing = "the members' keys differ, and no majority agrees: nothing is changed until an operator has said which are right"

// Torn says why nothing may be let go: empty while nothing is known to differ.
func Torn(o Observation) string {
	if o.IsKeeper() {
		return o.integrity(survey(o)).torn
	}
	k, _, _ := o.keeper()
	return k.Care.Torn
}

// corrupt replaces a member whose keys differ from those of a majority, and
// stops the house when there is none. The member's own agent sees that it is
// listed no more, sets its data aside and joins anew.
//
// While etcd is alarmed it serves nobody, so that nothing else is done until the
// alarm is gone; and it goes when the member does that it was raised for and
// the others' keys are the same.
func corrupt(o Observation, h house) (Decision, bool) {
	v, alarms := o.integrity(h), o.corruptAlarms()
	for _, id := range v.odd {
		s, _ := h.find(func(s standing) bool { return s.ID == id })
		return s.replaceOdd(o, h, v), true
	}
	for _, a := range alarms {
		_, listed := cluster.ByID(o.Members.Value(), a.Member)
		switch {
		case !v.checked:
			const reason = "etcd says that data is corrupt: the members' keys are being compared"
			if steps := o.compareNow(hashAlarm); len(steps) > 0 {
				return do("keep", reason, []any{a.Member}, steps...), true
			}
			return wait(reason, a.Member), true
		case listed:
			return refuse("etcd says that a member's data is corrupt, and its keys are the others': look at it, and remove it or disarm the alarm by hand", a.Member), true
		default:
			return do("keep", "the member whose data was corrupt has gone, and the others agree", []any{a.Member}, DisarmAlarm{a}), true
		}
	}
	return Decision{}, false
}

// replaceOdd removes the voter, if the rest stays a quorum.
func (s standing) replaceOdd(o Observation, h house, v integrity) Decision {
	const reason = "a member's keys differ from the majority's: it is replaced, its data kept"
	detail := []any{s.Label(), "; ", printHashes(o.Care.Hashes.Last(), h)}
	switch {
	case !h.mayGo(s):
		return do("keep", "a member's keys differ from the majority's, but the rest would not be a quorum", detail)
	case s.ID == o.Etcd.Value().MemberID:
		if to, ok := successor(o, h.without(v.odd)); ok {
			return do("keep", "the leader's keys differ from the majority's: it hands over, to be replaced", detail, TransferLeadership{to.ID, to.Label()})
		}
		return do("keep", "the leader's keys differ from the majority's, and no other voter is fit to lead", detail)
	case s.inUse(o) && !Withdrawn(o, s.ID):
		return do("keep", stillPublished, detail)
	}
	return do("keep", reason, detail, RemoveMember{s.ID, s.Label()})
}

// without is the house less some voters, for choosing among the others.
func (h house) without(ids []cluster.MemberID) house {
	h.voters = slices.DeleteFunc(slices.Clone(h.voters), func(s standing) bool { return slices.Contains(ids, s.ID) })
	return h
}

// compare has the keeper compare the members' keys when it is due: now and then,
// and soon again after a difference. Nothing is compared that may differ by
// right: members of two etcd lines, or of one that answers for nobody.
func compare(o Observation, h house) (Decision, bool) {
	c, every := o.Care.Hashes, o.Settings.Care.HashEvery
	if c != nil && !(cluster.HashRound{Hashes: among(c.Last().Hashes, h)}).Agree() {
		every = hashRetry
	}
	if every <= 0 || len(h.voters) < 2 || h.healthy < cluster.Quorum(len(h.voters)) || c != nil && within(o.Now.Sub(c.At), every) || oneLine(o, h) != nil {
		return Decision{}, false
	}
	steps := o.compareNow(min(every, hashRetry))
	return do("keep", "the members' keys are to be compared", nil, steps...), len(steps) > 0
}

// compareNow is the step, unless it has been taken a moment ago.
func (o Observation) compareNow(pause time.Duration) []Step {
	if within(o.Now.Sub(o.Care.HashTried), pause) {
		return nil
	}
	return []Step{CompareHashes{}}
}

// oneLine says which etcd lines the voters run, when it is more than one: the
// hash is the same for the same keys, but nobody has promised it between lines.
func oneLine(o Observation, h house) []string {
	lines := map[string]bool{}
	for _, s := range h.voters {
		version := s.probe.State.Version
		if s.ID == o.Etcd.Value().MemberID {
			version = o.Etcd.Value().Version
		}
		if parts := strings.SplitN(version, ".", 3); s.healthy && len(parts) == 3 {
			lines[parts[0]+"."+parts[1]] = true
		}
	}
	if len(lines) < 2 {
		return nil
	}
	return slices.Sorted(maps.Keys(lines))
}
