package plan

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Rolled is what this node has done for rolls. It is kept beside the data, and
// durable before what follows from it.
type Rolled struct {
	// Turn is the entry for which etcd was stopped last, until it is started: what
	// follows is that start, and no other may be the new version's first.
	Turn   uint64          `json:"turn,omitempty"`
	Number uint64          `json:"number,omitempty"` // the entry for which etcd was started last
	At     time.Time       `json:"at,omitzero"`      // when; this agent's start, if etcd was not up by then
	Runs   cluster.Version `json:"runs,omitzero"`    // what was started last
	Before cluster.Version `json:"before,omitzero"`  // what ran before that start
	Up     bool            `json:"up,omitempty"`     // it has been healthy since
	// Failed says that it was not, in time: it went back to Before.
	Failed *cluster.RollFailure `json:"failed,omitempty"`
}

// RollStale is why our etcd must restart for the newest roll, without since
// when. An etcd that runs what the roll wants has been rolled, however it came to.
func RollStale(o Observation) cluster.Stale {
	r, rolled, runs := o.Ledger.Roll.Value(), o.Process.Rolled, versionOf(o.Etcd.Value())
	switch {
	case !r.Open() || Preparing(r) || o.outlived(r):
		return cluster.Stale{}
	case r.Hop.Zero() && rolled.Number >= r.Number:
		return cluster.Stale{}
	case !r.Hop.Zero() && (runs.Zero() || reached(r, runs)):
		return cluster.Stale{}
	case rolled.Failed != nil && rolled.Failed.Number == r.Number:
		return cluster.Stale{} // the keeper ends it
	}
	return cluster.Stale{Why: fmt.Sprint("roll ", r.FirstNumber()), Roll: r.Number}
}

// outlived says that the roll was ordered for a cluster that is over: what its
// members ran, and what was backed up, is no more.
func (o Observation) outlived(r cluster.Roll) bool { return r.Epoch < o.epoch() }

// reached says that an etcd of version v runs what the roll's hop wants. An
// upgrade takes nobody down a minor: who is beyond it has come by another way.
func reached(r cluster.Roll, v cluster.Version) bool {
	return v == r.Hop || r.Kind == cluster.RollUpgrade && minor(r.Hop).Less(minor(v))
}

// Preparing says that the roll has not begun its first hop.
func Preparing(r cluster.Roll) bool {
	return r.Hop.Zero() && (r.Kind == cluster.RollUpgrade || r.Kind == cluster.RollDowngrade)
}

// versionOf is what an etcd says that it runs; zero when it does not answer.
func versionOf(e cluster.EtcdState) cluster.Version {
	v, _ := cluster.ParseVersion(e.Version)
	return v
}

// How long an etcd that was started for a roll may take to be healthy.
const (
	upLimit      = 2 * time.Minute
	crashedLimit = time.Minute // once it has ended twice
)

// comesUp says whether the etcd that was started for a roll is well, or may yet be.
func (o Observation) comesUp() (yes bool, why string) {
	p := o.Process.Rolled
	took := o.Now.Sub(p.At)
	switch {
	case p.Number == 0 || p.Up || p.Failed != nil || o.Process.Foreign || o.Etcd.Value().Healthy:
		return true, ""
	case took >= crashedLimit && o.Process.Crashes >= 2:
		return false, fmt.Sprintf("it ended %d times", o.Process.Crashes)
	case took >= upLimit:
		return false, fmt.Sprintf("it was not healthy within %s", upLimit)
	}
	return true, ""
}

// rollBack ends a roll at this node, if its etcd does not come up: the version
// that ran before is started again. No pause keeps it from that.
func rollBack(o Observation, d Decision) Decision {
	ok, why := o.comesUp()
	if ok || d.Verb == "refuse" || o.Disk.State != cluster.DiskData {
		return d
	}
	p := o.Process.Rolled
	failed := GiveUpRoll{p.Number, fmt.Sprintf("etcd %s: %s", p.Runs, why)}
	steps := []Step{failed}
	if o.Process.Running && p.Before != p.Runs {
		steps = append(steps, StopEtcd{})
	}
	return do("roll", "etcd has not come up as the roll wants it", []any{why, "; ", p.Before, " ran before"}, steps...)
}

// joinsFor is the entry for which an etcd counts that is started for the first
// time: a restart later would change nothing.
func (o Observation) joinsFor() uint64 {
	if r := o.Ledger.Roll.Value(); r.Open() && r.Kind == cluster.RollRestart && !o.outlived(r) {
		return r.Number
	}
	return 0
}

// startsFor is how a start of etcd on data that is here counts for a roll: in its
// turn as the version that the roll wants, again and again until that is up or
// given up; back as what ran before, if it was; else as ever, which is all that a
// mere restart asks for.
func (o Observation) startsFor() (cluster.Version, uint64) {
	r, p := o.Ledger.Roll.Value(), o.Process.Rolled
	switch {
	case p.Failed != nil && p.Failed.Number == p.Number && p.Runs != p.Before:
		return p.Before, 0
	case !r.Open() || Preparing(r) || o.outlived(r):
		return cluster.Version{}, 0
	case p.Turn == r.Number, p.Number == r.Number && !p.Up && p.Failed == nil:
		return r.Hop, r.Number
	}
	return cluster.Version{}, o.joinsFor()
}
