package backup

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// piece is a part of a database on its way: read, compressed, handed out. Each
// is a zstd frame of its own, as any zstd reads them one after the other.
type piece struct {
	room    []byte // window bytes
	n       int    // of room that are used
	out     []byte // what became of them
	pressed chan struct{}
}

// press compresses pieces on several processors at a time. Pieces go round:
// there are never more than it was made with.
type press struct {
	enc   *zstd.Encoder
	empty chan *piece
	full  chan *piece
	work  sync.WaitGroup
}

// mostPressers: more would be waiting for the hash, and each holds some MiB.
const mostPressers = 4

func newPress() (*press, error) {
	pressers := min(runtime.GOMAXPROCS(0), mostPressers)
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(pressers),
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false), // there are two SHA-256 in the manifest
		zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("opening zstd: %w", err)
	}
	pieces := pressers + 2 // one is read, one is handed out
	p := &press{enc: enc, empty: make(chan *piece, pieces), full: make(chan *piece, pieces)}
	for range pieces {
		p.empty <- &piece{room: make([]byte, window), pressed: make(chan struct{}, 1)}
	}
	for range pressers {
		p.work.Go(p.run)
	}
	return p, nil
}

// run ends when full is closed.
func (p *press) run() {
	for next := range p.full {
		next.out = p.enc.EncodeAll(next.room[:next.n], next.out[:0])
		next.pressed <- struct{}{}
	}
}
