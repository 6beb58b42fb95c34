package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
)

var (
	// ErrGap says that the log does not hold the entry that is wanted next, and
	// never will: it was purged, or the member got a snapshot instead of it.
	ErrGap = errors.New("the log has a hole")
	// ErrDamaged says that a segment that etcd has finished cannot be read.
	ErrDamaged = errors.New("the log is damaged")
)

// Applied is what a member says it has applied: Term is that of its entry at
// Index, or of a later one. The zero value says nothing.
type Applied struct{ Index, Term uint64 }

// Reader yields a member's committed entries, in order and each once. It holds
// files open until it is closed. It is for one goroutine.
type Reader struct {
	files  files
	offset int64  // in the current segment, behind the last good record
	crc    uint32 // running, at the offset
	log    tail
}

// Open begins to read the log in dir, member/wal of etcd's data directory, at
// the entry of index next. ErrGap when the log begins later.
func Open(dir string, next uint64) (*Reader, error) {
	names, err := list(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	start := -1
	for i, n := range names {
		// Where a segment begins the log ended before its index, so the final
		// entry of any later index is behind there.
		if n.index <= next {
			start = i
		}
	}
	if start < 0 {
		return nil, fmt.Errorf("opening the log in %s at index %d: %w", dir, next, ErrGap)
	}
	r := &Reader{files: files{dir: dir}, log: tail{next: next}}
	if err := r.files.open(names[start]); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return r, nil
}

// Close lets the files go.
func (r *Reader) Close() { r.files.close() }

// Next is the index of the entry that Read will yield first.
func (r *Reader) Next() uint64 { return r.log.next }

// Read is the next entries that are final: none when there is none yet. It
// stops once they take max bytes by Size; the last one may exceed it. It
// returns at once, also when a record is just being written. After an error the
// reader is of no more use.
func (r *Reader) Read(ctx context.Context, applied Applied, max int) ([]*raftpb.Entry, error) {
	if err := r.files.refresh(); err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	for {
		if r.log.confirm(applied); r.log.finalBytes() >= max {
			break
		}
		ended, err := r.readSome(ctx, max)
		if err != nil {
			return nil, fmt.Errorf("reading %s at %d: %w", r.files.held[0].file, r.offset, err)
		}
		if ended && !r.files.more() {
			r.log.confirm(applied)
			break
		}
		if ended {
			r.files.move()
			r.offset = 0
		}
	}
	return r.log.take(max), nil
}

// readSome decodes from the current segment until enough entries are final; it
// says whether it came to the segment's end.
func (r *Reader) readSome(ctx context.Context, max int) (ended bool, err error) {
	file, start := r.files.held[0], r.offset
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return false, err
	}
	d := wal.NewDecoder(fileutil.NewFileReader(file.File))
	d.UpdateCRC(r.crc)
	var rec walpb.Record
	for r.log.finalBytes() < max {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		switch err := d.Decode(&rec); {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil && !r.files.more():
			// A record in the making looks damaged in many ways. It is read again
			// from its beginning, the next time.
			return true, nil
		case err != nil:
			return false, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err := r.record(d, &rec); err != nil {
			return false, err
		}
		r.offset, r.crc = start+d.LastOffset(), d.LastCRC()
	}
	return false, nil
}

// record takes in one record. A segment begins with the checksum that the one
// before has ended with.
func (r *Reader) record(d wal.Decoder, rec *walpb.Record) error {
	if rec.GetType() != wal.CrcType {
		return r.log.record(rec)
	}
	if crc := d.LastCRC(); crc != 0 && rec.Validate(crc) != nil {
		return fmt.Errorf("%w: a segment does not continue the one before", ErrDamaged)
	}
	d.UpdateCRC(rec.GetCrc())
	return nil
}
