package etcd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"
)

// V2Reader finds out, over and over, whether a data directory holds content of
// the v2 store: etcd 3.6 does not start on any, and panics over a write to it
// that is left in the log. It says what `etcdutl check v2store` of 3.5.33 says,
// and needs no etcd to be stopped: it takes no locks. A log that it has read
// before it reads on from there. Not for concurrent use.
type V2Reader struct {
	snaps string // directory of the v2 store's snapshots
	wal   walReader
}

// NewV2Reader reads etcd's data directory.
func NewV2Reader(etcdDir string) *V2Reader {
	return &V2Reader{snaps: filepath.Dir(dbFile(etcdDir)), wal: walReader{dir: walDir(etcdDir), v2: true}}
}

// V2 is what data holds of the v2 store.
type V2 struct {
	// Content is what users have put there, for people; empty is nothing.
	Content string
	// Last is the index of the log's last entry in the form of the v2 store, etcd's
	// own before 3.6 included; 0: none is left. Snapshot is the newest snapshot's
	// index, and End the log's.
	Last, Snapshot, End uint64
}

// keptForOthers is more than what etcd keeps of its log in memory behind its
// newest entry, for members that lag.
const keptForOthers = 6000

// Elder says that etcd 3.7, which knows nothing of the v2 store's form, would
// panic over the log that it finds, or is sent as a new member; empty is no.
func (v V2) Elder() string {
	switch {
	case v.Last == 0:
	case v.Last > v.Snapshot:
		return fmt.Sprintf("the log since its last snapshot holds entries of the v2 store's form, which etcd itself wrote before 3.6: the last at index %d", v.Last)
	case v.End < v.Last+keptForOthers:
		return fmt.Sprintf("etcd keeps entries of the v2 store's form for members that lag: the last at index %d", v.Last)
	}
	return ""
}

// Read looks. An error says nothing.
func (r *V2Reader) Read() (v V2, err error) {
	found, err := r.read(&v)
	if err != nil {
		return V2{}, fmt.Errorf("looking for content of the v2 store: %w", err)
	}
	v.Content = strings.Join(found, "; ")
	return v, nil
}

func (r *V2Reader) read(v *V2) (found []string, err error) {
	names, err := segments(r.wal.dir)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	end, err := r.wal.read()
	if err != nil {
		return nil, err
	}
	newest, err := r.newestSnapshot(end)
	if err != nil {
		return nil, err
	}
	v.Snapshot, v.End = newest.GetMetadata().GetIndex(), end.last().Index
	if n := len(end.v2.writes); n > 0 {
		v.Last = end.v2.writes[n-1].index
	}
	if newest != nil {
		store := v2store.New("/0", "/1") // as etcd makes it: of itself, of its users
		if err := store.Recovery(newest.GetData()); err != nil {
			return nil, fmt.Errorf("reading the snapshot of the v2 store: %w", err)
		}
		clean, err := membership.IsMetaStoreOnly(store)
		if err != nil {
			return nil, err
		}
		if !clean {
			found = append(found, "there are keys, users or roles in the v2 store")
		}
	}
	if w, ok := end.v2.after(newest.GetMetadata().GetIndex()); ok {
		found = append(found, fmt.Sprintf("the log holds writes to the v2 store since its last snapshot: %s %s", w.method, w.path))
	}
	return found, nil
}

// newestSnapshot is the one that etcd would load: the newest file that the log
// tells of and that is whole; nil: there is none. One that goes away while it is
// looked at has a newer one before it.
func (r *V2Reader) newestSnapshot(end logEnd) (*raftpb.Snapshot, error) {
	valid := slices.DeleteFunc(slices.Clone(end.snapshots), func(s entryID) bool { return s.Index > end.commit })
	slices.SortFunc(valid, func(a, b entryID) int { return cmp.Compare(b.Index, a.Index) })
	for _, s := range valid {
		read, err := snap.Read(zap.NewNop(), filepath.Join(r.snaps, fmt.Sprintf("%016x-%016x.snap", s.Term, s.Index)))
		switch {
		case err == nil:
			return read, nil
		case errors.Is(err, fs.ErrPermission):
			return nil, err
		case errors.Is(err, os.ErrNotExist), errors.Is(err, snap.ErrEmptySnapshot), errors.Is(err, snap.ErrCRCMismatch):
		default:
			return nil, err
		}
	}
	return nil, nil
}

// v2Kept is how many writes to the v2 store are remembered: the newest. The
// newest tells whether there is one after a snapshot; the others are for the
// case that it is overwritten, as the tail of a log may be.
const v2Kept = 1024

// v2Log is what a log holds of writes to the v2 store.
type v2Log struct {
	wanted bool
	writes []v2Write // by index
}

type v2Write struct {
	index        uint64
	method, path string
}

// after is the last write of a user's after an index.
func (l v2Log) after(index uint64) (v2Write, bool) {
	for _, w := range slices.Backward(l.writes) {
		if w.index > index && !etcdsOwn(w.method, w.path) {
			return w, true
		}
	}
	return v2Write{}, false
}

// take notes an entry; one of a lower index than others has overwritten them.
func (l *v2Log) take(e *raftpb.Entry) {
	if !l.wanted {
		return
	}
	for len(l.writes) > 0 && l.writes[len(l.writes)-1].index >= e.GetIndex() {
		l.writes = l.writes[:len(l.writes)-1]
	}
	if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
		return
	}
	method, path, is := v2Request(e.GetData())
	if !is {
		return
	}
	if len(l.writes) == v2Kept {
		l.writes = slices.Delete(l.writes, 0, v2Kept/2)
	}
	l.writes = append(l.writes, v2Write{e.GetIndex(), method, path})
}

var memberAttributes = regexp.MustCompile(`/0/members/[[:xdigit:]]{1,16}/attributes`)

// etcdsOwn are the two writes that etcd itself makes in the v2 form, and that
// etcd 3.6 takes.
func etcdsOwn(method, path string) bool {
	return method == http.MethodPut && (path == "/0/version" || memberAttributes.MatchString(path))
}

// v2Request reads a proposal: a write to the v2 store is the field 2 of an
// InternalRaftRequest, or in the oldest form the whole entry is one. Of a write
// field 2 is the method and field 3 the path.
func v2Request(data []byte) (method, path string, is bool) {
	field, ok := textFields(data)
	inner, has := field[2]
	if !ok || !has {
		return "", "", false
	}
	if write, ok := textFields(inner); ok {
		return string(write[2]), string(write[3]), true
	}
	return string(inner), string(field[3]), true
}

// textFields are a message's fields of bytes; false: it is no message. Groups
// are nowhere in etcd's.
func textFields(data []byte) (map[protowire.Number][]byte, bool) {
	var fields map[protowire.Number][]byte
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 || kind == protowire.StartGroupType || kind == protowire.EndGroupType {
			return nil, false
		}
		data = data[n:]
		if kind == protowire.BytesType && (number == 2 || number == 3) {
			value, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return nil, false
			}
			if fields == nil {
				fields = map[protowire.Number][]byte{}
			}
			fields[number], data = value, data[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return nil, false
		}
		data = data[n:]
	}
	return fields, true
}
