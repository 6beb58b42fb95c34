package clustertest

import (
	"errors"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// agent is the memory of a running agent: a crash wipes it.
type agent struct {
	since    time.Time // on its own clock
	clock    time.Duration
	next     time.Duration
	steps    []plan.Step
	decision plan.Decision
	observed time.Duration // when it last looked
	settings plan.Settings

	heard  map[int]heard // by machine
	report *cluster.Report
	frozen bool // the whole process sleeps: it does not even answer

	view   cluster.Fact[cluster.View]
	viewAt time.Duration

	ledger   plan.Ledger
	ledgerAt time.Duration

	machines       machines
	invitations    map[cluster.MemberID]string
	probes         map[cluster.MemberID]plan.Probe
	unhealthySince time.Time
	backupTried    time.Time
	seedFails      int
	staleSince     time.Time
	staleOf        int
	rollStale      cluster.Stale
	seen           plan.Observation // of the round under way
	listened       time.Duration    // when it last looked
	local          []cluster.Member // the list in its own data
	localOf        int              // which data
	seedEpoch      cluster.Epoch
}

type heard struct {
	r  cluster.Report
	at time.Duration
}

// reportAge is how old a report may be at its reader. At its sender it may be
// of any age: an agent in a long step answers with what it knew before.
const reportAge = 3 * time.Second

// exchangeEvery parts two exchanges of reports, when nothing has happened.
const exchangeEvery = time.Second

func (w *World) startAgent(m *machine) {
	m.agent = &agent{since: zeroTime.Add(w.now + m.clock), clock: m.clock, next: w.now + w.between(0, time.Second), heard: map[int]heard{},
		invitations: map[cluster.MemberID]string{}, probes: map[cluster.MemberID]plan.Probe{}, settings: w.settings,
		viewAt: -time.Hour, ledgerAt: -time.Hour}
	w.recallRolled(m)
}

// agentRound lets m's agent do one thing: the next step of its decision, or a
// new look.
func (w *World) agentRound(m *machine) {
	a := m.agent
	a.frozen = false
	a.next = w.now + w.between(50*time.Millisecond, 400*time.Millisecond)
	if len(a.steps) > 0 {
		s := a.steps[0]
		a.steps = a.steps[1:]
		if w.chance(w.faults.crashInStep) {
			w.logf("%s: agent crashes before %s", m.name, s)
			w.agentEnds(m)
			return
		}
		w.acts++
		err := errTooLate
		if w.now-a.observed <= actFresh || !changesMembers(s) {
			err = w.act(m, s)
		}
		if err != nil {
			w.logf("%s: %s: %v", m.name, s, err)
			a.steps = nil
		} else {
			w.logf("%s: %s", m.name, s)
		}
		if m.agent != nil && w.chance(w.faults.crashInStep) {
			w.logf("%s: agent crashes after %s", m.name, s)
			w.agentEnds(m)
		}
		return
	}
	w.rounds++
	a.observed = w.now
	o := w.observe(m)
	a.seen = o
	d := plan.Decide(o)
	w.reasons[d.Verb+": "+d.Reason]++
	if early(o, d) {
		w.reasons["recover: an agent that has just started founds the next epoch"]++
	}
	if d.Verb != a.decision.Verb || d.Reason != a.decision.Reason || d.Detail != a.decision.Detail {
		w.logf("%s: %s", m.name, d)
	}
	a.decision, a.steps = d, d.Steps
	a.report = w.reportOf(m, o)
	if len(d.Steps) == 0 {
		a.next = w.now + w.between(800*time.Millisecond, 1500*time.Millisecond)
	} else {
		w.checkDecision(m, o, d)
	}
	if w.chance(w.faults.longPause) {
		a.next = w.now + w.between(2*time.Second, time.Minute)
		a.frozen = w.chance(0.5)
		w.logf("%s: agent is held up until %.2fs, answering %v", m.name, a.next.Seconds(), !a.frozen)
	}
}

// early says that a next epoch is founded by an agent that has not waited for
// others to answer.
func early(o plan.Observation, d plan.Decision) bool {
	return d.Verb == "recover" && o.Disk.State == cluster.DiskEmpty && len(d.Steps) > 0 && o.Now.Sub(o.Self.Since) < o.Settings.FoundingWait
}

// actFresh is how old an observation may be when a change of the membership is
// made on it, or an etcd stopped: an agent that slept in between looks again.
const actFresh = 5 * time.Second

var errTooLate = errors.New("the observation is too old to act on")

func changesMembers(s plan.Step) bool {
	switch s.(type) {
	case plan.AddLearner, plan.PromoteLearner, plan.RemoveMember, plan.UpdateMember, plan.TransferLeadership, plan.TakeTurn, plan.StopEtcd, plan.EnableDowngrade:
		return true
	}
	return false
}

func (w *World) agentEnds(m *machine) { m.agent = nil }
