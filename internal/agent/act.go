package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/gate"
	"github.com/quorate/quorate/internal/plan"
)

// Time limits of what a step asks of etcd.
const (
	memberCall = 8 * time.Second
	stopLimit  = 30 * time.Second // then SIGKILL
)

// act takes a decision's steps in their order. The first that fails ends the
// round: the next one looks again, and what was half done is seen as it is.
func (a *Agent) act(ctx context.Context, o plan.Observation, d plan.Decision) error {
	a.sayDecision(o, d)
	a.noteUnburdened(d)
	for _, s := range d.Steps {
		if s.Irreversible() {
			if err := a.journal(ctx, o, d); err != nil {
				return fmt.Errorf("journalling before %s: %w", s, err)
			}
		}
		if err := errors.Join(a.timely(o, s), a.inForce(o)); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		if err := a.do(ctx, o, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		a.metrics.step(s)
	}
	return nil
}

// actFresh is how old the facts of a decision may be when a step is taken that
// others' votes depend on. A slow store, or a machine that was held up, may part
// the two.
const actFresh = 5 * time.Second

var (
	errStale  = errors.New("the facts are too old, deciding anew")
	errNoEtcd = errors.New("our etcd does not run")
)

// timely fails for a step that changes the membership or the store's copy of
// it, ends an etcd or a machine that may be a voter's, or begins a next epoch, when
// what it was decided on is older than actFresh. Both clocks count: the monotonic one is not
// set, the other one passes while a machine is suspended.
func (a *Agent) timely(o plan.Observation, s plan.Step) error {
	switch s := s.(type) {
	case plan.WriteCharter:
		if s.Charter.Epoch <= 1 { // that the ledger is empty, the store says itself
			return nil
		}
	case plan.AddLearner, plan.PromoteLearner, plan.RemoveMember, plan.UpdateMember, plan.TransferLeadership, plan.TakeTurn, plan.StopEtcd, plan.EnableDowngrade, plan.WriteCheckpoint, plan.LapseVerdict, plan.CondemnMachine:
	default:
		return nil
	}
	now := time.Now()
	if age := max(now.Sub(o.Now), now.Round(0).Sub(o.Now.Round(0))); age > actFresh {
		return fmt.Errorf("%w: observed %s ago", errStale, age.Round(time.Millisecond))
	}
	return nil
}

// inForce fails for any step once a newer charter has come: what was decided in an
// epoch that is over is not done in the next.
func (a *Agent) inForce(o plan.Observation) error {
	if now := a.book.facts().Charter.Value().Epoch; now > o.Ledger.Charter.Value().Epoch {
		return fmt.Errorf("%w: epoch %d is in force by now", errStale, now)
	}
	return nil
}

// do takes one step. The comment of each case says what a crash in it leaves.
func (a *Agent) do(ctx context.Context, o plan.Observation, s plan.Step) error {
	switch s := s.(type) {
	case plan.WriteCharter: // the charter, or none
		return a.book.writeCharter(ctx, o.Ledger, s.Charter)
	case plan.GrantCharter: // the grant, or none
		return a.book.grant(s.Charter)
	case plan.RestoreSeed: // a partial directory, swept at the next start
		return a.restoreSeed(ctx, s.Charter)
	case plan.SeedFromSurvivor: // a copy, swept at the next start; our data is untouched
		return a.seedFromSurvivor(ctx, o, s.Charter)
	case plan.WriteStartedMark: // our own mark: the same disk may go on
		return a.book.markStarted(ctx, cluster.StartedMark{Epoch: s.Epoch, Name: a.opt.Name, DiskID: o.Disk.ID, At: o.Now})
	case plan.InstallSeed: // a spent identity beside the complete seed, or the rename
		return a.installSeed(s)
	case plan.StartEtcd: // a spent identity, or an etcd that the next agent adopts
		return a.startEtcd(ctx, o, s)
	case plan.StopEtcd: // an etcd that may still be ending
		return a.stopEtcd(ctx)
	case plan.TakeTurn: // a turn that is taken again, if etcd runs on
		return a.takeTurn(o, s)
	case plan.GiveUpRoll: // the failure, or none: it is found again
		return a.giveUpRoll(s)
	case plan.WriteRoll: // the entry, or none
		return a.book.writeRoll(ctx, s.Roll)
	case plan.SetDataAside: // one rename
		_, err := etcd.SetAside(a.opt.DataDir, a.opt.Etcd.DataDir, s.Label, o.Now)
		return err
	case plan.AdoptData: // the stamp, or none
		return etcd.WriteStamp(a.opt.Etcd.DataDir, a.stamp(s.Charter))
	case plan.WriteReadyMark: // the mark, or none
		return a.book.markReady(ctx, cluster.ReadyMark{Epoch: s.Epoch, By: a.opt.Name, At: o.Now})
	case plan.WriteCheckpoint: // the old list or the new
		return a.book.writeCheckpoint(ctx, cluster.Checkpoint{Epoch: o.Ledger.Charter.Value().Epoch, Members: s.Members, Term: o.Etcd.Value().Term, By: a.opt.Name, At: o.Now})
	case plan.LapseVerdict: // the word, or none
		return a.lapse(ctx, s.Verdict)
	case plan.TransferLeadership: // gates that open by themselves
		return a.handOver(ctx, o, s.To)
	case plan.TakeBackup: // at most an object without a manifest
		a.startBackup(ctx, s.By)
		return nil
	case plan.CompareHashes:
		a.startComparing(ctx, o)
		return nil
	case plan.Compact:
		a.startCompacting(ctx, s)
		return nil
	case plan.Defragment:
		return a.startDefragmenting(ctx, o, s)
	case plan.DefragmentData: // a copy beside the database, removed before the next
		return a.defragmentData()
	case plan.HoldMachine: // a hook that runs on; of these four another keeper asks again
		a.askCloud(ctx, o, s, s.Name, func(ctx context.Context, p cluster.Peer) error { return a.parts.Cloud.Hold(ctx, p) })
		return nil
	case plan.ReleaseMachine:
		a.askCloud(ctx, o, s, s.Name, func(ctx context.Context, p cluster.Peer) error { return a.parts.Cloud.Release(ctx, p) })
		return nil
	case plan.CondemnMachine:
		a.askCloud(ctx, o, s, s.Name, func(ctx context.Context, p cluster.Peer) error { return a.parts.Cloud.Condemn(ctx, p, s.Why) })
		return nil
	case plan.AnnounceReady:
		a.askCloud(ctx, o, s, o.Self.Name, a.announce)
		return nil
	}
	return a.changeMembership(ctx, s)
}

// changeMembership takes the steps that etcd itself carries out: each is one
// raft proposal, done whole or not at all, whatever becomes of us.
func (a *Agent) changeMembership(ctx context.Context, s plan.Step) error {
	ctx, cancel := context.WithTimeout(ctx, memberCall)
	defer cancel()
	if a.own == nil {
		return errNoEtcd
	}
	switch s := s.(type) {
	case plan.AddLearner: // an entry without an invitation: its joiner disowns it
		id, _, err := a.own.AddLearner(ctx, s.PeerURL)
		if err == nil {
			a.invite(id, s.DiskID)
		}
		return err
	case plan.PromoteLearner:
		return a.own.Promote(ctx, s.ID)
	case plan.RemoveMember:
		return a.own.Remove(ctx, s.ID)
	case plan.UpdateMember:
		return a.own.Update(ctx, s.ID, []string{s.PeerURL})
	case plan.EnableDowngrade:
		return a.own.EnableDowngrade(ctx, s.To)
	case plan.CancelDowngrade:
		return a.own.CancelDowngrade(ctx)
	case plan.DisarmAlarm:
		return a.own.Disarm(ctx, s.Alarm)
	}
	panic(fmt.Sprintf("agent: no way to do %T", s))
}

func (a *Agent) invite(id cluster.MemberID, diskID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.invited[id] = diskID
	now := time.Now()
	a.probes[id] = &probe{Probe: plan.Probe{FirstSeen: now, ProgressAt: now, UnhealthySince: now}}
}

func (a *Agent) stamp(c cluster.Charter) cluster.Stamp {
	return cluster.Stamp{Cluster: a.opt.Settings.Cluster, Epoch: c.Epoch, Charter: c, Name: a.opt.Name}
}

// startEtcd starts the process. The identity that a first start uses up is
// recorded before, durably: whatever happens then, it is never used again on
// an empty disk.
func (a *Agent) startEtcd(ctx context.Context, o plan.Observation, s plan.StartEtcd) error {
	if s.State == etcd.StateExisting {
		if err := a.vouched(ctx, s); err != nil {
			return err
		}
	}
	chosen, err := a.etcdFor(ctx, o, s)
	if err != nil {
		return err
	}
	dir := a.opt.Etcd.DataDir
	start := etcd.Start{State: s.State, InitialCluster: s.Initial, Token: s.Token}
	if s.State == "resume" {
		start = etcd.Start{}
	}
	if s.Spends != "" {
		if err := etcd.MarkSpent(a.opt.DataDir, s.Spends); err != nil {
			return err
		}
		if err := etcd.WriteStamp(dir, a.stamp(s.Charter)); err != nil {
			return err
		}
	}
	a.noteAuthorities()
	if err := errors.Join(a.recordRun(chosen.Version), a.noteStart(s, chosen.Version)); err != nil {
		return err
	}
	args := etcd.Args(chosen.Version, a.opt.Etcd, start)
	p, err := etcd.Launch(a.opt.DataDir, chosen.Binary, args, append(etcd.Env(a.parts.Environ, args), gate.Env(a.opt.DataDir)))
	if err != nil {
		return err
	}
	a.proc, a.foreign = p, false
	a.launch.identity, a.launch.sawData, a.launch.at = s.Spends, false, time.Now()
	a.closeOwn()
	return nil
}

func (a *Agent) stopEtcd(ctx context.Context) error {
	if a.proc == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err := a.proc.Stop(limited)
	if err == nil {
		a.log.Info("etcd has ended", "pid", a.proc.PID(), "exit", a.proc.Exit())
		a.proc, a.launch.identity = nil, ""
		a.closeOwn()
	}
	return err
}

// seedFromSurvivor builds the staged directory from our own data, WAL included.
func (a *Agent) seedFromSurvivor(ctx context.Context, o plan.Observation, c cluster.Charter) error {
	wrote, err := a.etcdFor(ctx, o, plan.StartEtcd{State: "resume"})
	if err != nil {
		return err
	}
	ctx, cancel := a.whileWanted(ctx, c.Epoch)
	defer cancel()
	return a.stage(c, func(t backup.Target) (cluster.Version, error) {
		return wrote.Version, backup.SeedFromSurvivor(ctx, backup.Survivor{
			Etcd: wrote.Command(), DataDir: a.opt.Etcd.DataDir,
			Scratch: a.path(scratchPrefix + itoa(c.Epoch)), Target: t})
	})
}

// stage has build fill a directory, stamps it, and only then gives it the name
// that says it is complete. What build gives is the version of etcd that is to
// run on it; zero: any.
func (a *Agent) stage(c cluster.Charter, build func(backup.Target) (cluster.Version, error)) error {
	f, _ := c.Founder(a.opt.Name)
	partial := a.path(partialPrefix + itoa(c.Epoch))
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	v, err := build(backup.Target{DataDir: partial, Name: f.Name, PeerURL: f.PeerURL, InitialCluster: c.InitialCluster(), Token: c.Token, Bump: c.Seed.Bump})
	if err == nil {
		err = etcd.WriteStamp(partial, a.stamp(c))
	}
	if err == nil && !v.Zero() {
		err = writeRun(partial, v)
	}
	if err == nil {
		err = durable.Rename(partial, stagedDir(a.opt.DataDir, c.Epoch))
	}
	return err
}

// installSeed makes the staged directory the data directory. The founder's
// identity is spent first: a data directory that is lost later is not made anew.
func (a *Agent) installSeed(s plan.InstallSeed) error {
	dir := a.opt.Etcd.DataDir
	if err := etcd.MarkSpent(a.opt.DataDir, s.Spends); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		// Not empty: half-made before a first start. It is kept, like all else.
		if _, err := etcd.SetAside(a.opt.DataDir, dir, "unused", time.Now()); err != nil {
			return err
		}
	}
	return durable.Rename(stagedDir(a.opt.DataDir, s.Epoch), dir)
}
