package printed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
)

// noteFile, in etcd's data directory, is lost with it: that tells a disk that
// never started from one whose data is lost. Etcd only logs that it is there.
const noteFile = "quorate-print"

// markFile, in quorate's directory, is the mark where the source keeps none. It
// tells of a lost data directory, though not of a lost machine.
const markFile = "print.mark"

// readMark compares the mark with the note on the disk. A source that keeps
// marks and does not answer leaves it unread.
func (n *Node) readMark(ctx context.Context, source Source) (plan.Mark, error) {
	note, err := readText(filepath.Join(n.EtcdDir, noteFile))
	if err != nil {
		return "", err
	}
	var mark string
	if m, ok := source.(Marker); ok {
		if mark, err = m.Mark(ctx, n.Asked.Name, n.Asked.PeerURL); err != nil {
			return "", nil
		}
	} else if mark, err = readText(filepath.Join(n.Dir, markFile)); err != nil {
		return "", err
	}
	switch mark {
	case "":
		return plan.MarkNone, nil
	case note:
		return plan.MarkOurs, nil
	}
	return plan.MarkOther, nil
}

// mark gives this disk the node's identity: the note first, for a mark without
// it would mean a lost disk.
func (n *Node) mark(ctx context.Context, source Source) error {
	path := filepath.Join(n.EtcdDir, noteFile)
	note, err := readText(path)
	if err != nil {
		return err
	}
	if note == "" {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		note = hex.EncodeToString(b[:])
		if err := n.makeDir(); err != nil {
			return err
		}
		if err := durable.WriteFile(path, []byte(note+"\n"), 0o644); err != nil {
			return fmt.Errorf("marking the data directory: %w", err)
		}
	}
	if m, ok := source.(Marker); ok {
		return m.SetMark(ctx, n.Asked.Name, n.Asked.PeerURL, note)
	}
	if err = durable.MkdirAll(n.Dir, 0o700); err == nil {
		err = durable.WriteFile(filepath.Join(n.Dir, markFile), []byte(note+"\n"), 0o600)
	}
	return err
}

// makeDir makes etcd's data directory as etcd would, for whoever owns its
// parent: root may ask for an etcd that runs as another user.
func (n *Node) makeDir() error {
	if _, err := os.Stat(n.EtcdDir); err == nil {
		return nil
	}
	if err := durable.MkdirAll(n.EtcdDir, 0o700); err != nil {
		return fmt.Errorf("making etcd's data directory: %w", err)
	}
	if os.Geteuid() == 0 {
		return sameOwner(n.EtcdDir)
	}
	return nil
}

func readText(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(raw)), nil
}
