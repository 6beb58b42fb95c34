package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
)

// rolledFile, beside the data, holds what this node has done for rolls.
const rolledFile = "roll.json"

// agreedEvery is how often our etcd is asked, while nothing changes, which
// version the cluster has agreed on.
const agreedEvery = 30 * time.Second

// rollState is of the loop alone.
type rollState struct {
	done  plan.Rolled // as the file says
	stale cluster.Stale

	agreed   cluster.Version // what our etcd has last told that the cluster has agreed on
	agreedAt time.Time
}

// recallRolled reads what earlier agents have done. A file that makes no sense
// costs one more restart in the next turn. An etcd that was not up when the last
// agent ended has as long as if it were started now.
func (a *Agent) recallRolled() {
	raw, err := os.ReadFile(a.path(rolledFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err == nil:
		err = json.Unmarshal(raw, &a.roll.done)
	}
	if err != nil {
		a.log.Warn("reading what this node has done for rolls", "error", err)
		a.roll.done = plan.Rolled{}
	}
	if !a.roll.done.Up {
		a.roll.done.At = time.Now()
	}
}

// noteRolled makes r durable before it counts.
func (a *Agent) noteRolled(r plan.Rolled) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = durable.WriteFile(a.path(rolledFile), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("recording what this node has done for rolls: %w", err)
	}
	a.roll.done = r
	return nil
}

// takeTurn says durably that the next start of etcd is the roll's, and what runs
// until then.
func (a *Agent) takeTurn(o plan.Observation, s plan.TakeTurn) error {
	r := a.roll.done
	r.Turn = s.Roll
	if v, err := cluster.ParseVersion(o.Etcd.Value().Version); err == nil {
		r.Runs = v
	}
	return a.noteRolled(r)
}

// giveUpRoll says durably that what ran before is started from now on.
func (a *Agent) giveUpRoll(s plan.GiveUpRoll) error {
	r := a.roll.done
	r.Turn, r.Failed = 0, &cluster.RollFailure{Number: s.Roll, Why: s.Why}
	a.launch.crashes, a.launch.notBefore = 0, time.Time{} // they were the other version's
	return a.noteRolled(r)
}

// noteStart says durably, before etcd is started, what is started and for which roll.
func (a *Agent) noteStart(s plan.StartEtcd, v cluster.Version) error {
	r := plan.Rolled{Number: a.roll.done.Number, At: a.roll.done.At, Up: a.roll.done.Up, Before: a.roll.done.Before, Failed: a.roll.done.Failed, Runs: v}
	if s.Roll > r.Number {
		r = plan.Rolled{Number: s.Roll, At: time.Now(), Runs: v, Before: a.roll.done.Runs}
	}
	if r == a.roll.done {
		return nil
	}
	return a.noteRolled(r)
}

// observeRoll notes what this node has done for rolls, and whether its etcd must
// restart: for the newest one, for a new CA.
func (a *Agent) observeRoll(o *plan.Observation) {
	if r := a.roll.done; r.Number > 0 && !r.Up && o.Etcd.Value().Healthy && !a.readOnly {
		r.Up = true
		if err := a.noteRolled(r); err != nil {
			a.log.Warn("etcd is up", "error", err)
		}
	}
	o.Process.Rolled = a.roll.done
	stale := plan.RollStale(*o)
	if stale.Why == "" || a.proc == nil || a.foreign {
		a.roll.stale = cluster.Stale{}
		return
	}
	if a.roll.stale.Roll != stale.Roll {
		a.roll.stale, a.roll.stale.Since = stale, o.Now
	}
	o.Process.Stale = a.roll.stale
}

// observeAgreed fills in the version that the cluster has agreed on. While a roll
// is open each round asks.
func (a *Agent) observeAgreed(ctx context.Context, o *plan.Observation) {
	if !o.Etcd.Value().Healthy {
		return
	}
	if a.book.facts().Roll.Value().Open() || time.Since(a.roll.agreedAt) > agreedEvery {
		ctx, cancel := context.WithTimeout(ctx, etcdLook)
		defer cancel()
		if p, err := a.parts.AtPeer(ctx, a.peerURL()); err == nil { // else we keep what we had
			a.roll.agreed, a.roll.agreedAt = p.Agreed, time.Now()
		}
	}
	e := o.Etcd.Value()
	e.ClusterVersion = a.roll.agreed
	o.Etcd = cluster.Known(e)
}
