package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/quorate/quorate/internal/seal"
)

const (
	compression = "zstd"
	encryption  = "age"
	// window is how much is compressed by itself. It bounds what either side of
	// the compression holds in memory: a few of it.
	window = 512 << 10
	// mostWindow is what a reader allows: one that asks for more is refused.
	mostWindow = 8 << 20
	// chunk is how much is moved at a time where nothing is packed.
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

// packer turns etcd's database into the object's bytes: a feed reads and hashes
// it, pressers compress it piece by piece, and whoever reads the packer gets the
// pieces in order, encrypted, and hashes them. A stream that is cut or damaged
// ends in an error and never in io.EOF, so that the store keeps nothing.
type packer struct {
	feed    *feed
	press   *press
	sealing io.WriteCloser // before out
	out     bytes.Buffer
	err     error
	done    bool  // the whole stream has passed, checked
	stored  tally // the object
}

// newPacker takes the source over: Close closes it.
func newPacker(src io.ReadCloser, keys *seal.Sealer) (p *packer, err error) {
	p = &packer{stored: newTally()}
	if p.sealing, err = keys.Encrypt(&p.out); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	if p.press, err = newPress(); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	p.feed = newFeed(src, p.press)
	return p, nil
}

// Read is for one goroutine.
func (p *packer) Read(b []byte) (int, error) {
	for p.out.Len() == 0 && p.err == nil {
		p.err = p.step()
	}
	if p.out.Len() == 0 {
		p.done = p.err == io.EOF
		return 0, p.err
	}
	n, err := p.out.Read(b)
	p.stored.Write(b[:n])
	return n, err
}

// step takes the next piece, or the stream's end.
func (p *packer) step() error {
	next, ok := <-p.feed.pieces
	if !ok {
		return p.finish()
	}
	<-next.pressed
	if _, err := p.sealing.Write(next.out); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	p.press.empty <- next // there is room for all pieces
	return nil
}

// finish writes the object's end only if the stream's was good.
func (p *packer) finish() error {
	if p.feed.end != io.EOF {
		return p.feed.end
	}
	if err := p.sealing.Close(); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	return io.EOF
}

// Close ends the source, and returns when nothing reads it any more.
func (p *packer) Close() error { return p.feed.close() }

// db tells the size and the hash of the database, without the hash behind it,
// when the packer has been read to its end.
func (p *packer) db() *tally { return &p.feed.db }
