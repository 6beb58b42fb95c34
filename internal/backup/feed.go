package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// feed reads a database in a goroutine of its own, hashes it, and gives it to
// the press piece by piece.
type feed struct {
	src    io.ReadCloser
	press  *press
	pieces chan *piece // in order; closed at the end, when db and end count
	stop   chan struct{}
	ended  chan struct{}

	tail [sha256.Size]byte // the last bytes read, which may be the stream's hash
	held int               // of tail
	db   tally             // the database, without the hash behind it
	end  error             // io.EOF: all has passed, checked
}

// vouched is a stream without a hash behind it: it reports io.EOF only when it
// has proven itself that it gave size bytes of one moment.
type vouched interface{ vouchedSize() int64 }

func newFeed(src io.ReadCloser, p *press) *feed {
	f := &feed{src: src, press: p, pieces: make(chan *piece, cap(p.empty)), stop: make(chan struct{}),
		ended: make(chan struct{}), db: newTally()}
	go f.run()
	return f
}

func (f *feed) run() {
	defer close(f.ended)
	defer close(f.pieces)
	defer close(f.press.full)
	for f.end == nil {
		select {
		case next := <-f.press.empty:
			f.end = f.fill(next)
		case <-f.stop:
			f.end = io.ErrClosedPipe
		}
	}
}

// fill moves one piece, holding back the last 32 bytes seen so far.
func (f *feed) fill(next *piece) error {
	copy(next.room, f.tail[:f.held])
	n, err := io.ReadFull(f.src, next.room[f.held:])
	got := next.room[:f.held+n]
	if _, ok := f.src.(vouched); !ok {
		body := got[:max(len(got)-sha256.Size, 0)]
		f.held = copy(f.tail[:], got[len(body):])
		got = body
	}
	if next.n = len(got); next.n > 0 {
		f.press.full <- next // there is room for all pieces
		f.pieces <- next
		f.db.Write(got)
	}
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return f.judge()
	}
	return fmt.Errorf("reading etcd's snapshot: %w", err)
}

// judge says io.EOF when what has passed is a whole database.
func (f *feed) judge() error {
	switch v, ok := f.src.(vouched); {
	case f.db.n == 0 || f.db.n%page != 0:
	case ok && f.db.n != v.vouchedSize():
	case !ok && f.db.sum() != hex.EncodeToString(f.tail[:f.held]):
		return fmt.Errorf("reading etcd's snapshot: %w: its SHA-256 does not match", ErrDamaged)
	default:
		return io.EOF
	}
	return fmt.Errorf("reading etcd's snapshot: %w: cut after %d bytes", ErrDamaged, f.db.n)
}

// close ends the source, and returns when nothing works any more.
func (f *feed) close() error {
	close(f.stop)
	err := f.src.Close()
	<-f.ended
	f.press.work.Wait()
	return err
}
