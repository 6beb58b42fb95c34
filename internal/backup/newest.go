package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// Where something is signed, each backup leaves a note of how far it goes, apart
// from the backups, so that a bucket's policy can keep even who may delete
// backups from deleting it. A store whose best backup is older than the newest
// note has lost backups, by accident or not.
//
//	ledger/backups/<epoch>-<revision>.sig    the signature of its own name
const (
	notePrefix = "ledger/backups/"
	noteKind   = "quorate newest backup v1\n"
)

var noteName = regexp.MustCompile(`^ledger/backups/(\d{10,})-(\d{20})\.sig$`)

// reach is how far a backup goes.
type reach struct {
	epoch    cluster.Epoch
	revision int64
}

func (r reach) compare(other reach) int {
	return cmp.Or(cmp.Compare(r.epoch, other.epoch), cmp.Compare(r.revision, other.revision))
}

func reachOf(b cluster.Backup) reach { return reach{b.Epoch, b.Revision} }

func (r reach) key() string { return fmt.Sprintf("%s%010d-%020d.sig", notePrefix, r.epoch, r.revision) }

func parseNote(key string) (reach, bool) {
	m := noteName.FindStringSubmatch(key)
	if m == nil {
		return reach{}, false
	}
	epoch, err := strconv.ParseUint(m[1], 10, 64)
	revision, err2 := strconv.ParseInt(m[2], 10, 64)
	return reach{cluster.Epoch(epoch), revision}, err == nil && err2 == nil
}

func noteMessage(clusterName, key string) []byte {
	return []byte(noteKind + clusterName + "\n" + key)
}

// note says that a backup exists, if the store signs. One that is there is as
// good.
func note(ctx context.Context, st Store, b cluster.Backup) error {
	key := reachOf(b).key()
	signature, err := sealerOf(st).Sign(noteMessage(b.Cluster, key))
	if err == nil && signature != nil {
		err = st.Create(ctx, key, signature)
	}
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("noting the backup %s: %w", b.Key, err)
	}
	return nil
}

// NotOlder refuses, for a restore of all that is stored, a backup that is not the
// newest any more: it is ErrUntrusted. A restore to an earlier moment need not ask.
func NotOlder(ctx context.Context, st Store, b cluster.Backup) error {
	return notOlder(ctx, st, b, b.Cluster)
}

// notOlder refuses a backup that is older than the newest note of a trusted key.
// Where no signature is demanded nothing is refused.
func notOlder(ctx context.Context, st Store, b cluster.Backup, clusterName string) error {
	keys := sealerOf(st)
	if !keys.Demands() {
		return nil
	}
	notes, err := notesOf(ctx, st)
	if err != nil {
		return err
	}
	for _, r := range notes {
		if r.compare(reachOf(b)) <= 0 {
			return nil
		}
		signature, err := st.Read(ctx, r.key())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = trusted(keys.Verify(noteMessage(clusterName, r.key()), signature))
		}
		switch {
		case err == nil:
			return fmt.Errorf("%w: the newest good backup is of epoch %d, revision %d, and there was one of epoch %d, revision %d",
				ErrUntrusted, b.Epoch, b.Revision, r.epoch, r.revision)
		case !errors.Is(err, ErrUntrusted): // a forged note counts for nothing
			return err
		}
	}
	return nil
}

// notesOf are all notes, the farthest first.
func notesOf(ctx context.Context, st Store) ([]reach, error) {
	objects, err := st.List(ctx, notePrefix)
	if err != nil {
		return nil, fmt.Errorf("listing the notes of backups: %w", err)
	}
	var notes []reach
	for _, o := range objects {
		if r, ok := parseNote(o.Key); ok {
			notes = append(notes, r)
		}
	}
	slices.SortFunc(notes, func(a, b reach) int { return b.compare(a) })
	return notes, nil
}

// forget deletes the notes that newer ones outdo. A store may refuse: notes are
// small, and older ones say nothing.
func forget(ctx context.Context, st Store) {
	notes, err := notesOf(ctx, st)
	for i, r := range notes {
		if i >= keptNotes && err == nil {
			err = st.Delete(ctx, r.key())
		}
	}
}

// keptNotes are more than one, because the newest may be forged.
const keptNotes = 50
