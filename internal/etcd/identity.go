package etcd

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/durable"
)

// RenewIdentity gives a copy of a stopped member's data a member id that was
// never used. Etcd ends when it applies, or has applied, the removal of its own
// id, and --force-new-cluster cannot add an id that was once removed: under its
// old id a removed member's log could never be replayed. The log is written
// anew, with the same entries and hard state.
//
// A crash in it leaves a copy that is of no use.
func RenewIdentity(etcdDir string) error {
	if err := renewIdentity(walDir(etcdDir)); err != nil {
		return fmt.Errorf("giving %s a new member id: %w", etcdDir, err)
	}
	return nil
}

func renewIdentity(dir string) error {
	from, err := lastSnapshot(dir)
	if err != nil {
		return err
	}
	old, err := wal.Open(zap.NewNop(), dir, from)
	if err != nil {
		return err
	}
	metadata, state, entries, err := old.ReadAll()
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	if metadata, err = strangerOf(metadata); err != nil {
		return err
	}
	renewed := filepath.Join(filepath.Dir(dir), "wal.renewed")
	w, err := wal.Create(zap.NewNop(), renewed, metadata)
	if err != nil {
		return err
	}
	if from.GetIndex() > 0 {
		err = w.SaveSnapshot(from)
	}
	if err == nil {
		err = w.Save(state, entries)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return durable.Rename(renewed, dir)
}

// strangerOf is the metadata of a log in the same cluster, under another member id.
func strangerOf(metadata []byte) ([]byte, error) {
	var meta etcdserverpb.Metadata
	if err := proto.Unmarshal(metadata, &meta); err != nil {
		return nil, fmt.Errorf("decoding the metadata: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	meta.NodeID = new(binary.BigEndian.Uint64(id[:])>>1 | 1)
	return proto.Marshal(&meta)
}
