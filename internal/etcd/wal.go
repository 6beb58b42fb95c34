package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// walAttempts is how often a log is read anew before it counts as damaged: a
// running etcd purges and writes the files under the reader.
const walAttempts = 3

// errMoved means that a segment went away between the listing and the look.
var errMoved = errors.New("the log changed while it was read")

// entryID is where a raft log ends.
type entryID struct{ Term, Index uint64 }

// logEnd is what a write-ahead log says of its member.
type logEnd struct {
	metadata  []byte // as found; the same in every segment
	clusterID uint64
	memberID  uint64
	entry     entryID   // the last in file order: a later entry of a lower index overwrote the tail
	commit    uint64    // of the last hard state; it lags behind what etcd knows
	snapshots []entryID // as recorded, valid or not
	torn      bool      // the last record was being written when the machine stopped
	v2        v2Log     // when it is asked for
}

// last is the end of the log as etcd will see it: a snapshot above the last
// entry counts once the hard state has caught up with it.
func (e logEnd) last() entryID {
	last := e.entry
	for _, s := range e.snapshots {
		if s.Index <= e.commit && s.Index > last.Index {
			last = s
		}
	}
	return last
}

// walCursor is how far a log has been read: everything before offset in the
// segment is in end, and crc is the running checksum there.
type walCursor struct {
	segment string
	info    fs.FileInfo
	offset  int64
	crc     uint32
	end     logEnd
}

// walReader reads a log without locks, while etcd may be writing it, in
// constant memory; each further reading goes on where the last one ended.
type walReader struct {
	dir string
	v2  bool // look for what has been written to the v2 store
	at  walCursor
}

// read gives the log's end. Segments must exist and be numbered without a gap.
func (r *walReader) read() (logEnd, error) {
	var err error
	for range walAttempts {
		if err = r.advance(); err == nil {
			return r.at.end, nil
		}
		r.at = walCursor{}
	}
	return logEnd{}, err
}

// advance reads from the cursor to the end of the log.
func (r *walReader) advance() error {
	names, err := segments(r.dir)
	if err != nil {
		return err
	}
	rest := r.unread(names)
	for i, name := range rest {
		if err := r.readSegment(name, i == len(rest)-1); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return nil
}

// unread are the segments from the cursor on; all of them, from a fresh
// cursor, when the cursor's file is not the same any more.
func (r *walReader) unread(names []string) []string {
	for i, name := range names {
		if name != r.at.segment {
			continue
		}
		info, err := os.Stat(filepath.Join(r.dir, name))
		if err == nil && os.SameFile(info, r.at.info) && info.Size() >= r.at.offset {
			return names[i:]
		}
	}
	r.at = walCursor{}
	r.at.end.v2.wanted = r.v2
	return names
}

// readSegment takes in the records of one segment from the cursor on. Only
// the last segment may end in a torn record.
func (r *walReader) readSegment(name string, last bool) error {
	f, err := os.Open(filepath.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if r.at.segment != name {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		r.at.segment, r.at.info, r.at.offset = name, info, 0
	}
	r.at.end.torn = false
	err = r.readRecords(f)
	if err == nil || !last {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || tornAt(f, r.at.offset) {
		r.at.end.torn = true
		return nil
	}
	return err
}

// readRecords decodes from the cursor to the segment's end; the cursor stays
// behind the last good record.
func (r *walReader) readRecords(f *os.File) error {
	start := r.at.offset
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return err
	}
	d := wal.NewDecoder(fileutil.NewFileReader(f))
	d.UpdateCRC(r.at.crc)
	var rec walpb.Record
	for {
		err := d.Decode(&rec)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.GetType() == wal.CrcType {
			if crc := d.LastCRC(); crc != 0 && rec.Validate(crc) != nil {
				return wal.ErrCRCMismatch
			}
			d.UpdateCRC(rec.GetCrc())
		} else if err := r.at.end.take(&rec); err != nil {
			return err
		}
		r.at.offset, r.at.crc = start+d.LastOffset(), d.LastCRC()
	}
}

// take adds one record to what is known of the log.
func (e *logEnd) take(rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.MetadataType:
		return e.takeMetadata(rec.Data)
	case wal.EntryType:
		var entry raftpb.Entry
		if err := proto.Unmarshal(rec.Data, &entry); err != nil {
			return fmt.Errorf("decoding an entry: %w", err)
		}
		e.entry = entryID{entry.GetTerm(), entry.GetIndex()}
		e.v2.take(&entry)
	case wal.StateType:
		var state raftpb.HardState
		if err := proto.Unmarshal(rec.Data, &state); err != nil {
			return fmt.Errorf("decoding a hard state: %w", err)
		}
		e.commit = state.GetCommit()
	case wal.SnapshotType:
		var snap walpb.Snapshot
		if err := proto.Unmarshal(rec.Data, &snap); err != nil {
			return fmt.Errorf("decoding a snapshot record: %w", err)
		}
		e.snapshots = append(e.snapshots, entryID{snap.GetTerm(), snap.GetIndex()})
	default:
		return fmt.Errorf("a record of the unknown type %d", rec.GetType())
	}
	return nil
}

func (e *logEnd) takeMetadata(data []byte) error {
	if e.metadata != nil {
		if !bytes.Equal(e.metadata, data) {
			return wal.ErrMetadataConflict
		}
		return nil
	}
	var meta etcdserverpb.Metadata
	if err := proto.Unmarshal(data, &meta); err != nil {
		return fmt.Errorf("decoding the metadata: %w", err)
	}
	e.metadata = bytes.Clone(data)
	e.clusterID, e.memberID = meta.GetClusterID(), meta.GetNodeID()
	return nil
}

// tornAt says that the bad record at offset is the last thing in the file:
// after it there is nothing but the zeros that etcd preallocates.
func tornAt(f *os.File, offset int64) bool {
	var length [8]byte
	if _, err := f.ReadAt(length[:], offset); err != nil {
		return errors.Is(err, io.EOF)
	}
	end := offset + int64(len(length)) + frameSize(length)
	block := make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(block, end)
		if len(bytes.Trim(block[:n], "\x00")) > 0 {
			return false
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		end += int64(n)
	}
}

// frameSize is the size of a record and its padding, as etcd's encoder packs
// them into a little-endian word: 56 bits of size, 3 of padding, a mark.
func frameSize(length [8]byte) int64 {
	var size int64
	for i := 6; i >= 0; i-- {
		size = size<<8 | int64(length[i])
	}
	if length[7]&0x80 != 0 {
		size += int64(length[7] & 0x7)
	}
	return size
}

// segments are the names of a log's files in order; none when there is no log.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name, that is, by number
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	var before uint64
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".wal") {
			continue
		}
		var number, index uint64
		if _, err := fmt.Sscanf(e.Name(), "%016x-%016x.wal", &number, &index); err != nil {
			return nil, fmt.Errorf("reading the log's file names: %q is none", e.Name())
		}
		if len(names) > 0 && number != before+1 {
			return nil, fmt.Errorf("reading the log's file names: %s follows %s", e.Name(), names[len(names)-1])
		}
		names, before = append(names, e.Name()), number
	}
	return names, nil
}
