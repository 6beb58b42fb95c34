package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/internal/cluster"
)

// Unpacked is the database of a backup that was checked by being read to its
// end, kept in a file so that a restore need not read it again. What it knows of
// that file dies with the process: a file that an earlier one has left proves
// nothing, and is the caller's to remove. Not safe for concurrent use.
type Unpacked struct {
	of   cluster.Backup
	name string
}

// Unpack is Verify that keeps the database, in a new file of that name, private
// to its owner. It wants the room of a whole restore there (ErrNoRoom). On an
// error the file is gone.
func Unpack(ctx context.Context, st Store, b cluster.Backup, name string) (*Unpacked, error) {
	if err := roomFor(filepath.Dir(name), b.Size+walRoom); err != nil {
		return nil, fmt.Errorf("unpacking: %w: %w", ErrNoRoom, err)
	}
	u := &Unpacked{b, name}
	err := download(ctx, st, b, name, nil)
	switch {
	case err == nil:
		return u, nil
	case !errors.Is(err, fs.ErrExist):
		err = errors.Join(err, u.Discard())
	}
	return nil, fmt.Errorf("unpacking: %w", err)
}

// Is says that this is the database of that very backup. A nil one is of none.
func (u *Unpacked) Is(b cluster.Backup) bool {
	return u != nil && u.of.Key == b.Key && u.of.SHA256 == b.SHA256 && u.of.Size == b.Size
}

// Discard removes the file, unless a restore has taken it. A nil one has none.
func (u *Unpacked) Discard() error {
	if u == nil || u.name == "" {
		return nil
	}
	err := os.Remove(u.name)
	u.name = ""
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// give moves the file to a name on the same file system, once. Where that is
// refused it is still there to be discarded.
func (u *Unpacked) give(to string) error {
	err := os.Rename(u.name, to)
	if err == nil {
		u.name = ""
	}
	return err
}
