package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// UnknownKeys is Backup.Keys when the keys could not be counted.
const UnknownKeys = -1

// Source is one etcd member to copy from. Every call goes to the same member:
// what Status says is in its database is what Snapshot must hold.
type Source interface {
	// Status is the member's state; Applied and Revision are of its own
	// database, which may be behind the leader's.
	Status(ctx context.Context) (cluster.EtcdState, error)
	// Snapshot streams the database followed by the 32 bytes of its SHA-256,
	// as etcd's Maintenance.Snapshot does. The caller closes it.
	Snapshot(ctx context.Context) (io.ReadCloser, error)
	// KeyCount counts the keys at a revision, 0 for the current one. A
	// compacted revision is rpctypes.ErrCompacted.
	KeyCount(ctx context.Context, rev int64) (int64, error)
}

// Meta is what a backup says of itself that etcd cannot tell.
type Meta struct {
	Cluster string
	Epoch   cluster.Epoch
	By      string // the node that takes it
	Now     time.Time
}

// Take copies the member's database into the store and returns the manifest.
// The backup exists from the moment the manifest is written. A crash or an
// error before leaves at most an object without a manifest, for Sweep; an
// error after may hide that the backup was made, which does no harm.
func Take(ctx context.Context, src Source, st Store, meta Meta) (cluster.Backup, error) {
	state, err := src.Status(ctx)
	if err != nil {
		return cluster.Backup{}, fmt.Errorf("asking etcd for its status: %w", err)
	}
	b, err := describe(state, meta, sealerOf(st))
	if err != nil {
		return cluster.Backup{}, err
	}
	b.Keys = countKeys(ctx, src, state.Revision)
	if err := upload(ctx, src, st, &b); err != nil {
		return cluster.Backup{}, err
	}
	if err := writeManifest(ctx, st, b); err != nil {
		return cluster.Backup{}, err
	}
	return b, note(ctx, st, b)
}

// describe records the state from before the stream begins, so that the
// snapshot holds at least what the manifest says.
func describe(state cluster.EtcdState, meta Meta, keys *seal.Sealer) (cluster.Backup, error) {
	at := meta.Now.UTC()
	stem := newStem(meta.Epoch, at, state.Revision, nonce())
	b := cluster.Backup{
		Key:         stem + manifestSuffix,
		Object:      stem + objectSuffix,
		Cluster:     meta.Cluster,
		Epoch:       meta.Epoch,
		Revision:    state.Revision,
		Index:       state.Applied,
		Term:        state.Term,
		Etcd:        state.Version,
		ClusterID:   state.ClusterID,
		Compression: compression,
		By:          meta.By,
		At:          at,
	}
	if keys.Encrypts() {
		b.Object, b.Encryption = b.Object+sealedSuffix, encryption
	}
	var err error
	b.Signer, err = keys.Signer()
	return b, err
}

// countKeys is for people and for the flag "this backup is empty": a backup is
// never given up because its keys could not be counted (no right to, no time).
func countKeys(ctx context.Context, src Source, rev int64) int64 {
	n, err := src.KeyCount(ctx, rev)
	if errors.Is(err, rpctypes.ErrCompacted) {
		n, err = src.KeyCount(ctx, 0)
	}
	if err != nil {
		return UnknownKeys
	}
	return n
}

// upload streams the snapshot into the store and fills in sizes and hashes.
func upload(ctx context.Context, src Source, st Store, b *cluster.Backup) (err error) {
	ctx, cancel := context.WithCancel(ctx) // etcd's stream ends with its context
	defer cancel()
	snapshot, err := src.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("opening etcd's snapshot stream: %w", err)
	}
	p, err := newPacker(snapshot, sealerOf(st))
	if err != nil {
		return err
	}
	defer p.Close()
	stored, err := st.Upload(ctx, b.Object, p)
	if err != nil {
		return fmt.Errorf("uploading %s: %w", b.Object, err)
	}
	if !p.done || stored != p.stored.n {
		return fmt.Errorf("uploading %s: the store took %d bytes of %d", b.Object, stored, p.stored.n)
	}
	b.Size, b.SHA256 = p.db().n, p.db().sum()
	b.StoredSize, b.StoredSHA = p.stored.n, p.stored.sum()
	return nil
}

// writeManifest makes the backup exist. "Already there" can only be our own
// write whose reply was lost, because the key holds a nonce; it is read back
// all the same.
func writeManifest(ctx context.Context, st Store, b cluster.Backup) error {
	data, err := encodeManifest(b, sealerOf(st))
	if err != nil {
		return fmt.Errorf("encoding manifest %s: %w", b.Key, err)
	}
	err = st.Create(ctx, b.Key, data)
	if errors.Is(err, store.ErrExists) {
		var there []byte
		if there, err = st.Read(ctx, b.Key); err == nil && !bytes.Equal(there, data) {
			err = errors.New("another manifest is there")
		}
	}
	if err != nil {
		return fmt.Errorf("writing manifest %s: %w", b.Key, err)
	}
	return nil
}

func nonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
