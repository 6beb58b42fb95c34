package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

const (
	// opLimit bounds a small operation whose caller has set no deadline.
	opLimit = 10 * time.Second
	// maxRunning bounds the operations under way, those left behind included:
	// on a dead file system each of these holds a thread in the kernel.
	maxRunning = 64
)

// slots has one entry for each operation under way.
type slots chan struct{}

// await runs f where it can be left behind: it returns when f does, or when ctx
// ends, whichever comes first. An f that is left behind keeps its slot until it
// returns, and what it says then is lost.
func await[T any](ctx context.Context, s slots, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	select {
	case s <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("waiting for one of %d operations to end: %w", cap(s), context.Cause(ctx))
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-s }()
		v, err := f()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, explained(ctx, o.err)
	case <-ctx.Done():
	}
	select {
	case o := <-done: // both at once: what is known counts
		return o.value, explained(ctx, o.err)
	default:
		return none, context.Cause(ctx)
	}
}

// explained puts the cause of ctx's end in place of an error that tells only that
// it has ended.
func explained(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

// limited gives ctx the limit of a small operation, unless it has a deadline.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	cause := fmt.Errorf("no answer for %s: %w", opLimit, context.DeadlineExceeded)
	return context.WithTimeoutCause(ctx, opLimit, cause)
}

// watchdog ends a context when an expected step does not come in time.
type watchdog struct {
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	timer  *time.Timer
	ended  bool
}

func watch(ctx context.Context) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{cancel: cancel}
}

// expect ends the context unless expect or rest is called again in time.
func (w *watchdog) expect(limit time.Duration, complaint string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
	if w.ended { // a call from an operation that was left behind
		return
	}
	w.timer = time.AfterFunc(limit, func() {
		w.cancel(fmt.Errorf("%s for %s: %w", complaint, limit, context.DeadlineExceeded))
	})
}

// rest expects nothing until the next expect.
func (w *watchdog) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
}

// end ends the context and the watch.
func (w *watchdog) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
	w.ended = true
	w.cancel(nil)
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// tally counts requests by operation.
type tally struct {
	mu sync.Mutex
	n  map[string]int64
}

func newTally() *tally { return &tally{n: map[string]int64{}} }

func (t *tally) add(operation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[operation]++
}

func (t *tally) counts() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}
