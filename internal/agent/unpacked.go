package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// unpacked is the backup that this agent has read whole while it looked for a
// good one, kept because the next charter will most likely name it. It lies
// beside the data as long as this disk is empty and no quorum answers. A next
// agent knows nothing of it, and sweeps it away.
type unpacked struct {
	mu   sync.Mutex
	file *backup.Unpacked // nil: none
}

// take hands it over, with the duty to discard it.
func (u *unpacked) take() *backup.Unpacked {
	u.mu.Lock()
	defer u.mu.Unlock()
	file := u.file
	u.file = nil
	return file
}

func (u *unpacked) keep(file *backup.Unpacked) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.file = file
}

func (u *unpacked) is(b cluster.Backup) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.file.Is(b)
}

// verify reads a backup whole, and keeps nothing.
func (a *Agent) verify(ctx context.Context, b cluster.Backup) error {
	a.sayReading(b)
	return backup.Verify(ctx, a.vault(), b)
}

// unpack reads a backup whole into a file that a restore of it takes, unless
// that is there already. Without room for it, it is read all the same: the
// restore says what is missing.
func (a *Agent) unpack(ctx context.Context, b cluster.Backup) error {
	if a.unpacked.is(b) {
		return nil
	}
	a.discard(a.unpacked.take())
	began := time.Now()
	a.sayReading(b)
	file, err := backup.Unpack(ctx, a.vault(), b, a.path(unpackPrefix+nonce()))
	switch {
	case errors.Is(err, backup.ErrNoRoom):
		a.log.Warn("a backup is read, and not kept for its restore", "backup", b.Key, "error", err)
		return a.verify(ctx, b)
	case err == nil:
		a.log.Info("a backup is good, and unpacked for its restore", "backup", b.Key, "bytes", b.Size, "took", time.Since(began).Round(time.Millisecond))
		a.unpacked.keep(file)
	}
	return err
}

func (a *Agent) sayReading(b cluster.Backup) {
	a.log.Info("reading a backup, to know that it is good", "backup", b.Key, "bytes", b.Size)
}

// discardUnneeded frees the disk of a backup that no charter will have us restore.
func (a *Agent) discardUnneeded(o plan.Observation) {
	if o.Disk.State != cluster.DiskEmpty || plan.Led(o) {
		a.discard(a.unpacked.take())
	}
}

func (a *Agent) discard(file *backup.Unpacked) {
	if err := file.Discard(); err != nil {
		a.log.Warn("an unpacked backup is still there", "error", err)
	}
}
