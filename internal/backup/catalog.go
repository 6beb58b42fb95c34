package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

const (
	prefix         = "backups/"
	objectSuffix   = ".db.zst"
	sealedSuffix   = ".age" // behind objectSuffix, of an encrypted object
	manifestSuffix = ".json"
)

// ours is how the package names both objects of a backup. Nothing else under
// the prefix is ever read or deleted.
var ours = regexp.MustCompile(`^backups/\d{10,}/\d{8}T\d{6}Z-\d+-[0-9a-f]{16}(\.db\.zst(\.age)?|\.json)$`)

func newStem(epoch cluster.Epoch, at time.Time, revision int64, nonce string) string {
	name := fmt.Sprintf("%s-%d-%s", at.Format("20060102T150405Z"), revision, nonce)
	return path.Join(prefix, fmt.Sprintf("%010d", epoch), name)
}

// IsKey says that a key is one of a backup, that is of its manifest.
func IsKey(key string) bool { return isManifest(key) }

func isManifest(key string) bool {
	return ours.MatchString(key) && strings.HasSuffix(key, manifestSuffix)
}

func isObject(key string) bool {
	return ours.MatchString(key) && !strings.HasSuffix(key, manifestSuffix)
}

func manifestOf(object string) string {
	return strings.TrimSuffix(strings.TrimSuffix(object, sealedSuffix), objectSuffix) + manifestSuffix
}

// Problem is a backup that cannot be used, and why.
type Problem struct {
	Key string // of the manifest
	Err error
}

func (p Problem) String() string { return p.Key + ": " + p.Err.Error() }

// List reads every manifest, newest first by (epoch, revision, time). One that
// makes no sense is left out and told as a problem; a store that fails is an
// error. A manifest never changes, so what a caller knows already is not read
// again: then a listing is one request.
func List(ctx context.Context, st Store, known ...cluster.Backup) ([]cluster.Backup, []Problem, error) {
	objects, err := st.List(ctx, prefix)
	if err != nil {
		return nil, nil, fmt.Errorf("listing backups: %w", err)
	}
	read := map[string]cluster.Backup{}
	for _, b := range known {
		read[b.Key] = b
	}
	var backups []cluster.Backup
	var problems []Problem
	for _, o := range objects {
		if !isManifest(o.Key) {
			continue
		}
		b, ok := read[o.Key]
		if !ok {
			b, err = Read(ctx, st, o.Key)
		}
		switch {
		case ok || err == nil:
			backups = append(backups, b)
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrUntrusted):
			problems = append(problems, Problem{Key: o.Key, Err: err})
		case errors.Is(err, store.ErrNotFound): // pruned since it was listed
		default:
			return nil, nil, err
		}
	}
	sortNewestFirst(backups)
	return backups, problems, nil
}

// Read reads one manifest. One that makes no sense is ErrDamaged, one that is
// not signed as it should be ErrUntrusted, one that is not there
// store.ErrNotFound.
func Read(ctx context.Context, st Store, key string) (cluster.Backup, error) {
	data, err := st.Read(ctx, key)
	if err != nil {
		return cluster.Backup{}, fmt.Errorf("reading manifest %s: %w", key, err)
	}
	b, err := decodeManifest(data, sealerOf(st))
	if err != nil {
		return cluster.Backup{}, fmt.Errorf("reading manifest %s: %w", key, err)
	}
	if err := sound(b, key); err != nil {
		return cluster.Backup{}, fmt.Errorf("reading manifest %s: %w: %w", key, ErrDamaged, err)
	}
	return b, nil
}

// sound checks that a manifest speaks of its own backup, so that nothing it
// says leads to an object that is not the package's.
func sound(b cluster.Backup, key string) error {
	switch {
	case b.Key != key || !isManifest(key):
		return fmt.Errorf("it says that its key is %q", b.Key)
	case !isObject(b.Object) || manifestOf(b.Object) != key || strings.HasSuffix(b.Object, sealedSuffix) != (b.Encryption != ""):
		return fmt.Errorf("its object is %q", b.Object)
	case b.Size <= 0 || b.StoredSize <= 0 || b.SHA256 == "" || b.StoredSHA == "":
		return errors.New("size or hash is missing")
	}
	return nil
}

// Seeded reads the backup that a charter's seed names, and holds the manifest
// to the hash in the charter.
func Seeded(ctx context.Context, st Store, seed cluster.Seed) (cluster.Backup, error) {
	if seed.Kind != cluster.SeedBackup {
		return cluster.Backup{}, fmt.Errorf("reading the seed: it is %q, not a backup", seed.Kind)
	}
	b, err := Read(ctx, st, seed.Backup)
	if err != nil {
		return cluster.Backup{}, fmt.Errorf("reading the seed: %w", err)
	}
	if b.SHA256 != seed.SHA256 {
		return cluster.Backup{}, fmt.Errorf("reading the seed %s: %w: its SHA-256 is %s, in the charter %s", b.Key, ErrDamaged, b.SHA256, seed.SHA256)
	}
	return b, nil
}

func sortNewestFirst(backups []cluster.Backup) {
	slices.SortFunc(backups, func(a, b cluster.Backup) int {
		return cmp.Or(
			cmp.Compare(b.Epoch, a.Epoch),
			cmp.Compare(b.Revision, a.Revision),
			b.At.Compare(a.At),
			strings.Compare(b.Key, a.Key),
		)
	})
}
