package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// MarkStarted says, before a founder's first start, that its disk is spent. It
// is the mark that stands: ours, or, when DiskID differs, that of a disk that
// started before and is lost, under whose identity nobody may start again.
func (l *Ledger) MarkStarted(ctx context.Context, m cluster.StartedMark) (existing cluster.StartedMark, err error) {
	m.At = stamp(m.At)
	switch {
	case m.Epoch == 0:
		err = checkEpoch(m.Epoch)
	case m.Name == "" || m.DiskID == "":
		err = errors.New("a started mark needs a name and a disk")
	default:
		existing, err = create(ctx, l, startedKey(m.Epoch, m.Name), m)
	}
	if err == nil {
		err = checkStarted(existing, m.Epoch, m.Name)
	}
	if err != nil {
		return cluster.StartedMark{}, fmt.Errorf("marking %s started in epoch %d: %w", m.Name, m.Epoch, err)
	}
	return existing, nil
}

// Started is the mark of that founder, or ErrNone: it has never started.
func (l *Ledger) Started(ctx context.Context, epoch cluster.Epoch, name string) (cluster.StartedMark, error) {
	m, err := read[cluster.StartedMark](ctx, l, startedKey(epoch, name))
	if err == nil {
		err = checkStarted(m, epoch, name)
	}
	if err != nil {
		return cluster.StartedMark{}, fmt.Errorf("reading the started mark of %s in epoch %d: %w", name, epoch, err)
	}
	return m, nil
}

func checkStarted(m cluster.StartedMark, epoch cluster.Epoch, name string) error {
	if m.Epoch != epoch || m.Name != name || m.DiskID == "" {
		return corrupt(startedKey(epoch, name), "it is of %q in epoch %d, disk %q", m.Name, m.Epoch, m.DiskID)
	}
	return nil
}

// MarkReady says that the epoch has come alive. A mark that is there already,
// another keeper's or our own, is as good: it is no error.
func (l *Ledger) MarkReady(ctx context.Context, m cluster.ReadyMark) error {
	m.At = stamp(m.At)
	err := checkEpoch(m.Epoch)
	if err == nil {
		m, err = create(ctx, l, readyKey(m.Epoch), m)
	}
	if err != nil {
		return fmt.Errorf("marking epoch %d ready: %w", m.Epoch, err)
	}
	return nil
}

// Ready is the mark of the epoch, or ErrNone: it may have died before its birth.
func (l *Ledger) Ready(ctx context.Context, epoch cluster.Epoch) (cluster.ReadyMark, error) {
	m, err := read[cluster.ReadyMark](ctx, l, readyKey(epoch))
	if err == nil && m.Epoch != epoch {
		err = corrupt(readyKey(epoch), "it says epoch %d", m.Epoch)
	}
	if err != nil {
		return cluster.ReadyMark{}, fmt.Errorf("reading the ready mark of epoch %d: %w", epoch, err)
	}
	return m, nil
}

// ErrFenced means that a keeper of a later raft term has written the checkpoint.
var ErrFenced = errors.New("a keeper of a later term has written it")

// WriteCheckpoint replaces the epoch's copy of the member list. The keeper alone
// writes it, before the membership changes; one that has slept through an
// election gets ErrFenced. The look and the write are two requests: what comes
// between them the age of the keeper's facts must bound.
func (l *Ledger) WriteCheckpoint(ctx context.Context, c cluster.Checkpoint) error {
	err := checkEpoch(c.Epoch)
	if err == nil {
		err = l.fenced(ctx, c)
	}
	var data []byte
	if err == nil {
		data, err = encode(c)
	}
	if err == nil {
		err = l.store.Put(ctx, checkpointKey(c.Epoch), data)
	}
	if err != nil {
		return fmt.Errorf("writing the checkpoint of epoch %d: %w", c.Epoch, err)
	}
	return nil
}

// fenced is ErrFenced, or why nobody knows. A list that is not there, or is
// damaged, fences nobody; one that is unread may.
func (l *Ledger) fenced(ctx context.Context, c cluster.Checkpoint) error {
	key := checkpointKey(c.Epoch)
	data, err := l.store.Read(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if there, damaged := decode[cluster.Checkpoint](key, data); damaged == nil && there.Term > c.Term {
		return fmt.Errorf("%w: %s in term %d, ours is %d", ErrFenced, there.By, there.Term, c.Term)
	}
	return nil
}

// Checkpoint is the epoch's copy of the member list, or ErrNone.
func (l *Ledger) Checkpoint(ctx context.Context, epoch cluster.Epoch) (cluster.Checkpoint, error) {
	c, err := read[cluster.Checkpoint](ctx, l, checkpointKey(epoch))
	if err == nil && c.Epoch != epoch {
		err = corrupt(checkpointKey(epoch), "it says epoch %d", c.Epoch)
	}
	if err != nil {
		return cluster.Checkpoint{}, fmt.Errorf("reading the checkpoint of epoch %d: %w", epoch, err)
	}
	return c, nil
}

// Entry is one line of the journal.
type Entry struct {
	Epoch cluster.Epoch `json:"epoch"` // 0 before there is any
	At    time.Time     `json:"at"`    // sorts the journal; the writer's clock
	Nonce string        `json:"nonce"` // fresh for each entry, kept when it is written again
	What  any           `json:"what"`  // the step, in JSON
}

// Journal writes the entry, as an object of its own, BEFORE the irreversible
// step that it tells of: on an error the step must not be taken. Writing the
// same entry again, after a lost reply, is no error.
func (l *Ledger) Journal(ctx context.Context, e Entry) error {
	if e.Nonce == "" || e.At.IsZero() {
		return errors.New("journalling: an entry needs a time and a nonce")
	}
	e.At = stamp(e.At)
	stands, err := create(ctx, l, journalKey(e), e)
	if err == nil && stands.Nonce != e.Nonce {
		err = corrupt(journalKey(e), "it has nonce %q", stands.Nonce)
	}
	if err != nil {
		return fmt.Errorf("journalling: %w", err)
	}
	return nil
}
