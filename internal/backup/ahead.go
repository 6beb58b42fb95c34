package backup

import "io"

// How much is read ahead: two pieces, so that one is on its way while the other
// is packed.
const (
	aheadPieces = 3
	aheadSize   = 512 << 10
)

// ahead reads its source in a goroutine of its own, a little ahead: etcd's stream
// hands over its bytes one message at a time, and waits meanwhile.
type ahead struct {
	src   io.ReadCloser
	full  chan piece
	empty chan []byte
	stop  chan struct{}
	ended chan struct{}
	now   piece
	rest  []byte // of now
}

type piece struct {
	room []byte
	n    int
	err  error
}

// newAhead takes the source over: Close closes it.
func newAhead(src io.ReadCloser) *ahead {
	a := &ahead{src: src, full: make(chan piece, aheadPieces), empty: make(chan []byte, aheadPieces),
		stop: make(chan struct{}), ended: make(chan struct{})}
	for range aheadPieces {
		a.empty <- make([]byte, aheadSize)
	}
	go a.fill()
	return a
}

func (a *ahead) fill() {
	defer close(a.ended)
	for {
		select {
		case room := <-a.empty:
			n, err := io.ReadFull(a.src, room)
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			a.full <- piece{room, n, err} // there is room for all pieces
			if err != nil {
				return
			}
		case <-a.stop:
			return
		}
	}
}

// Read is for one goroutine.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.room != nil {
			a.empty <- a.now.room
		}
		a.now = <-a.full
		a.rest = a.now.room[:a.now.n]
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the source, and returns when nothing reads it any more.
func (a *ahead) Close() error {
	close(a.stop)
	err := a.src.Close()
	<-a.ended
	return err
}
