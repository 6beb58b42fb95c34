package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/replay"
)

// ranFile, in etcd's data directory, says which version of etcd ran on that data
// last: it is durable before that version starts, and goes where the data goes.
const ranFile = "quorate-etcd.json"

const (
	offersPace = 10 * time.Second // between two looks at what --etcd names
	v2Pace     = 5 * time.Second  // and at what the data holds of the v2 store
)

// versions is what this node knows of etcd's versions here. Of the loop alone.
type versions struct {
	ran cluster.Version // as recorded for the etcd that runs, or ran last
}

// observeVersions notes what this node could run and what stands in its way. An
// etcd that an earlier agent has started is recorded as soon as it tells.
func (a *Agent) observeVersions(o *plan.Observation) {
	o.Process.Offers = a.parts.Offers.Versions()
	runs, err := etcd.ParseVersion(o.Etcd.Value().Version)
	if err == nil && a.proc != nil && !a.foreign && runs != a.versions.ran && !a.readOnly {
		if err := a.recordRun(runs); err != nil {
			a.log.Warn("which etcd runs", "error", err)
		}
	}
	if runs.Zero() {
		runs = a.versions.ran
	}
	o.Process.V2, o.Process.Elder = a.v2.facts(runs)
}

// recordRun says durably that our data is of a version from now on.
func (a *Agent) recordRun(v cluster.Version) error {
	if err := writeRun(a.opt.Etcd.DataDir, v); err != nil {
		return fmt.Errorf("recording which etcd runs: %w", err)
	}
	a.versions.ran = v
	return nil
}

// writeRun records, durably when it returns nil, that data is of a version.
func writeRun(etcdDir string, v cluster.Version) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = durable.WriteFile(filepath.Join(etcdDir, ranFile), raw, 0o600)
	}
	return err
}

// readRun is what is recorded of data; zero: nothing. A file that makes no sense
// is none: the data itself tells its minor.
func readRun(etcdDir string) (v cluster.Version) {
	raw, err := os.ReadFile(filepath.Join(etcdDir, ranFile))
	if err != nil || json.Unmarshal(raw, &v) != nil {
		return cluster.Version{}
	}
	return v
}

// lastRun is what is known of the versions that have run on our data.
func (a *Agent) lastRun() plan.LastRun {
	agreed, format, err := etcd.DataVersion(a.opt.Etcd.DataDir)
	if err != nil {
		a.log.Debug("the data does not tell its version", "error", err)
	}
	ran := plan.LastRun{Version: readRun(a.opt.Etcd.DataDir), Agreed: agreed, Format: format}
	if mayHoldV2(ran.Version) || ran.Version.Zero() && mayHoldV2(agreed) { // a large log takes a second
		found, err := a.v2.look()
		if err != nil {
			a.log.Debug("the data does not tell what it holds of the v2 store", "error", err)
		}
		ran.Elder = found.Elder()
	}
	return ran
}

// etcdFor is the etcd that a start takes. What --etcd names is looked at anew: a
// binary may have been replaced since it was asked for its version.
func (a *Agent) etcdFor(ctx context.Context, o plan.Observation, s plan.StartEtcd) (etcd.Candidate, error) {
	if err := a.parts.Offers.Refresh(ctx); err != nil {
		return etcd.Candidate{}, err
	}
	o.Process.Offers = a.parts.Offers.Versions()
	v, why := plan.StartAs(o, s, a.lastRun())
	if v.Zero() {
		return etcd.Candidate{}, fmt.Errorf("no etcd is started: %s", why)
	}
	c, found := a.parts.Offers.Exact(v)
	if !found {
		return etcd.Candidate{}, fmt.Errorf("no etcd is started: %s has gone", v)
	}
	a.log.Info("this etcd is started", "version", v, "reason", why)
	return c, nil
}

// argv is the command of an etcd of the version's minor, before its own flags: an
// etcd of another may apply what one has written otherwise.
func (a *Agent) argv(of string) ([]string, error) {
	wrote, err := cluster.ParseVersion(of)
	if err != nil {
		return nil, err
	}
	c, found := a.parts.Offers.OfMinor(wrote)
	if !found {
		return nil, fmt.Errorf("%w: etcd %s, and --etcd offers %v", replay.ErrOtherMinor, wrote, a.parts.Offers.Versions())
	}
	return c.Command(), nil
}

// watchOffers looks at what --etcd names, again and again: a version that an
// operator adds is offered without a restart.
func (a *Agent) watchOffers(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		problem := ""
		if err := a.parts.Offers.Refresh(ctx); err != nil {
			problem = err.Error()
		}
		for _, u := range a.parts.Offers.Unfit() {
			problem += fmt.Sprintf("%s: %v; ", u.Path, u.Err)
		}
		if problem != said && problem != "" && ctx.Err() == nil {
			a.log.Warn("an etcd that --etcd names cannot be run", "error", problem)
		}
		said = problem
		sleep(ctx, offersPace)
	}
}

// unfit is what --etcd has and could not run, for people.
func (a *Agent) unfit() []string {
	var out []string
	for _, u := range a.parts.Offers.Unfit() {
		text := u.Err.Error()
		if !u.Version.Zero() {
			text = "etcd " + u.Version.String() + ": " + text
		}
		out = append(out, text)
	}
	return out
}
