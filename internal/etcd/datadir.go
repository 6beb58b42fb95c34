package etcd

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
)

// What quorate keeps on a disk: the stamp inside etcd's data directory, which
// goes where the data goes, and beside it what must outlive the data.
const (
	// StampFile, in the data directory, says which epoch its data is of.
	StampFile = "quorate.json"
	diskFile  = "disk.json"
	spentFile = "spent.json"
	asideDir  = "aside"
)

type diskNote struct {
	ID string `json:"id"`
}

// DiskReader reads what a node knows of its data directory, over and over:
// a log it has read before it reads on from there. Not for concurrent use.
type DiskReader struct {
	dir     string
	etcdDir string
	wal     walReader
}

// NewDiskReader reads quorate's directory dir and etcd's data directory.
func NewDiskReader(dir, etcdDir string) *DiskReader {
	return &DiskReader{dir: dir, etcdDir: etcdDir, wal: walReader{dir: walDir(etcdDir)}}
}

// ReadDisk reads them once.
func ReadDisk(dir, etcdDir string) cluster.Disk { return NewDiskReader(dir, etcdDir).Read() }

func walDir(etcdDir string) string { return filepath.Join(etcdDir, "member", "wal") }
func dbFile(etcdDir string) string { return filepath.Join(etcdDir, "member", "snap", "db") }

// Read never fails: what it cannot read or make sense of is DiskUnread with
// the reason in Detail, and whoever decides waits. It takes no locks and may
// run beside etcd.
func (r *DiskReader) Read() cluster.Disk {
	var d cluster.Disk
	if err := r.read(&d); err != nil {
		d.State, d.Detail = cluster.DiskUnread, err.Error()
	}
	return d
}

func (r *DiskReader) read(d *cluster.Disk) error {
	var note diskNote
	if _, err := readJSON(filepath.Join(r.dir, diskFile), &note); err != nil {
		return err
	}
	d.ID = note.ID
	if _, err := readJSON(filepath.Join(r.dir, spentFile), &d.Spent); err != nil {
		return err
	}
	aside, err := os.ReadDir(filepath.Join(r.dir, asideDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range aside {
		d.Aside = append(d.Aside, e.Name())
	}
	var stamp cluster.Stamp
	stamped, err := readJSON(filepath.Join(r.etcdDir, StampFile), &stamp)
	if err != nil {
		return err
	}
	if stamped {
		d.Stamp = &stamp
	}
	return r.readData(d)
}

// readData tells data, nothing, and what is neither apart.
func (r *DiskReader) readData(d *cluster.Disk) error {
	for _, path := range []string{r.etcdDir, filepath.Join(r.etcdDir, "member"), walDir(r.etcdDir), filepath.Dir(dbFile(r.etcdDir))} {
		if err := noDanglingLink(path); err != nil {
			return err
		}
	}
	names, err := segments(walDir(r.etcdDir))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		if err := noTrace(r.etcdDir); err != nil {
			return err
		}
		d.State = cluster.DiskEmpty
		return nil
	}
	end, err := r.wal.read()
	switch {
	case err != nil:
		return fmt.Errorf("reading etcd's log: %w", err)
	case end.metadata == nil:
		return errors.New("etcd's log has no metadata")
	}
	if _, err := os.Stat(dbFile(r.etcdDir)); err != nil {
		return fmt.Errorf("there is a log, but no database: %w", err)
	}
	last := end.last()
	d.State = cluster.DiskData
	d.ClusterID, d.MemberID = cluster.ClusterID(end.clusterID), cluster.MemberID(end.memberID)
	d.Term, d.Index = last.Term, last.Index
	if end.torn {
		d.Detail = "the log's last record is torn; what is before it counts"
	}
	return nil
}

// noTrace finds no sign that a directory without a log ever held data. Votes
// are in the log alone, so a log deleted by hand before its first entry was
// applied leaves no sign: the spent identities guard against that. A first
// start makes the database before the log, and an etcd that cannot reach its
// cluster stops in between: so a database in which nothing was ever applied is
// no trace. Any other database, and any snapshot, is.
func noTrace(etcdDir string) error {
	entries, err := os.ReadDir(filepath.Dir(dbFile(etcdDir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		switch {
		case e.Name() == filepath.Base(dbFile(etcdDir)):
			if err := newborn(dbFile(etcdDir)); err != nil {
				return fmt.Errorf("there is no log, but a database: %w", err)
			}
		case strings.Contains(e.Name(), ".snap"):
			return fmt.Errorf("there is no log, but the snapshot %s", e.Name())
		}
	}
	return nil
}

// newborn says why a database is not one that etcd made and never used.
func newborn(path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return nil
	}
	return inDatabase(path, func(tx *bolt.Tx) error {
		if meta := tx.Bucket([]byte("meta")); meta != nil && len(meta.Get([]byte("consistent_index"))) > 0 {
			return errors.New("it has seen raft entries")
		}
		for _, name := range []string{"key", "members", "lease", "authUsers"} {
			if b := tx.Bucket([]byte(name)); b != nil {
				if k, _ := b.Cursor().First(); k != nil {
					return fmt.Errorf("its bucket %q is not empty", name)
				}
			}
		}
		return nil
	})
}

// Removed says that a stopped etcd's own data tells that the member has been
// removed: etcd writes that down when it applies a removal, for ever. A database
// that a running etcd holds is not waited for: that is an error.
func Removed(etcdDir string, id cluster.MemberID) (bool, error) {
	removed := false
	err := inDatabase(dbFile(etcdDir), func(tx *bolt.Tx) error {
		if b := tx.Bucket([]byte("members_removed")); b != nil {
			removed = b.Get([]byte(id.String())) != nil
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("reading whether member %s has been removed: %w", id, err)
	}
	return removed, nil
}

// inDatabase reads a database that no etcd holds; one that is held, or is none,
// is an error. So is a damaged one: bbolt panics over a bad page, and a file that
// was cut short faults, which would end the agent in each of its rounds.
func inDatabase(path string, read func(*bolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged: %v", path, p)
		}
	}()
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(read)
}

// noDanglingLink refuses a link into nowhere, which a missing file system
// leaves: a disk that is not mounted is not empty.
func noDanglingLink(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := os.Stat(path)
	return err
}

// EnsureDiskID gives the disk's nonce, made durably at the first call. It is
// lost when the disk is, and by nothing else.
func EnsureDiskID(dir string) (string, error) {
	path := filepath.Join(dir, diskFile)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("naming the disk: %w", err)
	}
	b, err := json.Marshal(diskNote{ID: rand.Text()})
	if err == nil {
		err = durable.CreateFile(path, b, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("naming the disk: %w", err)
	}
	var note diskNote
	if _, err := readJSON(path, &note); err != nil {
		return "", fmt.Errorf("naming the disk: %w", err)
	}
	if note.ID == "" {
		return "", fmt.Errorf("naming the disk: %s holds no id", path)
	}
	return note.ID, nil
}

// MarkSpent records durably that this disk starts an etcd under an identity:
// call it before the first start. Marking twice is marking once.
func MarkSpent(dir, identity string) error {
	path := filepath.Join(dir, spentFile)
	var spent []string
	if _, err := readJSON(path, &spent); err != nil {
		return fmt.Errorf("spending identity %s: %w", identity, err)
	}
	if slices.Contains(spent, identity) {
		return nil
	}
	b, err := json.Marshal(append(spent, identity))
	if err == nil {
		err = durable.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("spending identity %s: %w", identity, err)
	}
	return nil
}

// WriteStamp says in the data directory which epoch its data belongs to; it
// makes the directory when there is none.
func WriteStamp(etcdDir string, stamp cluster.Stamp) error {
	b, err := json.MarshalIndent(stamp, "", "  ")
	if err == nil {
		err = durable.MkdirAll(etcdDir, 0o700)
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(etcdDir, StampFile), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("stamping the data directory: %w", err)
	}
	return nil
}

// SetAside moves etcd's data directory to dir/aside/<label>-<UTC time> and
// says where it is now. It deletes nothing, and nothing else ever does. etcd
// must not be running on it. One rename: a crash leaves it here or there.
func SetAside(dir, etcdDir, label string, now time.Time) (string, error) {
	aside := filepath.Join(dir, asideDir)
	if err := durable.MkdirAll(aside, 0o700); err != nil {
		return "", fmt.Errorf("setting data aside: %w", err)
	}
	label = strings.ReplaceAll(label, string(filepath.Separator), "_")
	base := filepath.Join(aside, label+"-"+now.UTC().Format("20060102T150405Z"))
	to := base
	for n := 2; ; n++ {
		// rename(2) would replace an empty directory of that name.
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", fmt.Errorf("setting data aside: %w", err)
		}
		to = fmt.Sprintf("%s-%d", base, n)
	}
	if err := durable.Rename(etcdDir, to); err != nil {
		return "", fmt.Errorf("setting data aside: %w", err)
	}
	return to, nil
}

// readJSON reads a file into v; false when there is none.
func readJSON(path string, v any) (bool, error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	return true, nil
}
