package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/quorate/quorate/internal/seal"
)

const (
	compression = "zstd"
	encryption  = "age"
	// window bounds what either side of the compression holds in memory: a
	// few of it. The reader refuses an object that asks for more.
	window = 1 << 20
	// chunk is how much is taken from the source at a time.
	chunk = 128 << 10
	// page is what a database's size is a multiple of.
	page = 512
)

// ErrDamaged says that bytes are not what their hash promises.
var ErrDamaged = errors.New("damaged")

// tally counts and hashes what passes.
type tally struct {
	h hash.Hash
	n int64
}

func newTally() tally { return tally{h: sha256.New()} }

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return t.h.Write(p)
}

func (t *tally) sum() string { return hex.EncodeToString(t.h.Sum(nil)) }

// packer turns etcd's snapshot stream into the object's bytes as they are
// read: it checks the stream's own hash, compresses, encrypts, and tallies both
// sides.
// It works in the reader's goroutine and starts none. A stream that is cut or
// damaged ends in an error and never in io.EOF, so that the store keeps nothing.
type packer struct {
	src     io.Reader
	tail    []byte // the last bytes read, which may be the stream's hash
	in      []byte // room for one chunk
	enc     *zstd.Encoder
	sealing io.WriteCloser // between enc and out
	out     bytes.Buffer
	err     error
	done    bool // the whole stream has passed, checked

	db     tally // the database, without the hash behind it
	stored tally // the object
}

func newPacker(src io.Reader, keys *seal.Sealer) (*packer, error) {
	p := &packer{src: src, in: make([]byte, sha256.Size+chunk), db: newTally(), stored: newTally()}
	var err error
	if p.sealing, err = keys.Encrypt(&p.out); err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(p.sealing,
		zstd.WithEncoderConcurrency(1), // in this goroutine, one block at a time
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window))
	if err != nil {
		return nil, fmt.Errorf("opening zstd: %w", err)
	}
	p.enc = enc
	return p, nil
}

func (p *packer) Read(b []byte) (int, error) {
	for p.out.Len() == 0 && p.err == nil {
		p.err = p.step()
	}
	if p.out.Len() == 0 {
		return 0, p.err
	}
	n, err := p.out.Read(b)
	p.stored.Write(b[:n])
	p.done = p.err == io.EOF && p.out.Len() == 0
	return n, err
}

// step moves one chunk, holding back the last 32 bytes seen so far.
func (p *packer) step() error {
	held := copy(p.in, p.tail)
	n, err := io.ReadFull(p.src, p.in[held:])
	got := p.in[:held+n]
	body := got[:max(len(got)-sha256.Size, 0)]
	p.tail = append(p.tail[:0], got[len(body):]...)
	p.db.Write(body)
	if _, werr := p.enc.Write(body); werr != nil {
		return fmt.Errorf("compressing: %w", werr)
	}
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return p.finish()
	}
	return fmt.Errorf("reading etcd's snapshot: %w", err)
}

// finish compares the held-back hash; only then is the object's end written.
func (p *packer) finish() error {
	switch {
	case p.db.n == 0 || p.db.n%page != 0:
		return fmt.Errorf("reading etcd's snapshot: %w: cut after %d bytes", ErrDamaged, p.db.n)
	case p.db.sum() != hex.EncodeToString(p.tail):
		return fmt.Errorf("reading etcd's snapshot: %w: its SHA-256 does not match", ErrDamaged)
	}
	if err := p.enc.Close(); err != nil {
		return fmt.Errorf("compressing: %w", err)
	}
	if err := p.sealing.Close(); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	return io.EOF
}
