package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

// An agent that takes a backup, or has one taken, is looked at meanwhile: one that
// is frozen or cut off keeps its connection and never answers. Looks are counted,
// not time: who was frozen itself must not hold that against others.
const (
	lookEvery     = 2 * time.Second // and each look waits as long
	looksInVain   = 5               // in a row: it has fallen silent
	looksReplaced = 2               // likewise, where another agent stands in its place by now
)

// errSilent marks a request that was broken off, for its agent answers nothing.
var errSilent = errors.New("it has fallen silent")

// backupFrom has another agent take a backup, or have one taken, and breaks off
// (errSilent) once it has fallen silent. replaced says that nobody needs to wait
// for it: while it answers, it is let finish all the same.
func (a *Agent) backupFrom(ctx context.Context, r cluster.Report, q control.BackupRequest, replaced func() bool) (cluster.Backup, error) {
	k := control.NewClient(r.Agent, a.parts.HTTP)
	asking, end := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { end(a.awaitSilence(asking, k, replaced)) })
	b, err := k.Backup(asking, q)
	if silent := context.Cause(asking); err != nil && errors.Is(silent, errSilent) {
		err = fmt.Errorf("asking %s for a backup: %w", r.Name, silent)
	}
	end(nil)
	watch.Wait()
	return b, err
}

// awaitSilence returns errSilent, or nil once ctx has ended.
func (a *Agent) awaitSilence(ctx context.Context, k *control.Client, replaced func() bool) error {
	every := cmp.Or(a.backups.look, lookEvery)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		call, cancel := context.WithTimeout(ctx, every)
		_, err := k.Report(call)
		cancel()
		if !lost(err) { // an error that it tells is a word too
			missed = 0
			continue
		}
		missed++
		if missed >= looksInVain || missed >= looksReplaced && replaced() {
			return fmt.Errorf("%w: %w", errSilent, err)
		}
	}
}

// stops says that this agent has been told to end.
func (a *Agent) stops() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}
