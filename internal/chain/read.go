package chain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// ahead is how many segments Walk reads before they are wanted: it bounds its
// memory, and hides the store's latency.
const ahead = 4

// Reader reads a cluster's segments out of its store.
type Reader struct {
	Objects Objects
	Codec   *Codec
	Cluster string // quorate's name of it: another's segments are damage
}

// Segment reads one segment. One that is not there is store.ErrNotFound.
func (r Reader) Segment(ctx context.Context, epoch cluster.Epoch, chain int, number uint64) (Segment, cluster.LogEnd, error) {
	key := Key(epoch, chain, number)
	object, err := r.Objects.Read(ctx, key)
	if err != nil {
		return Segment{}, cluster.LogEnd{}, err
	}
	s, end, err := r.Codec.Decode(object)
	if err == nil {
		err = r.owns(key, s.Header)
	}
	if err != nil {
		return Segment{}, cluster.LogEnd{}, fmt.Errorf("reading %s: %w", key, err)
	}
	return s, end, nil
}

// Header reads one segment's header, and where the log ends with it. It needs
// no key that opens the body.
func (r Reader) Header(ctx context.Context, epoch cluster.Epoch, chain int, number uint64) (Header, cluster.LogEnd, error) {
	key := Key(epoch, chain, number)
	object, err := r.Objects.Read(ctx, key)
	if err != nil {
		return Header{}, cluster.LogEnd{}, err
	}
	h, end, err := r.Codec.DecodeHeader(object)
	if err == nil {
		err = r.owns(key, h)
	}
	if err != nil {
		return Header{}, cluster.LogEnd{}, fmt.Errorf("reading %s: %w", key, err)
	}
	return h, end, nil
}

// Begin is the header of a chain's first segment. ErrNone when that has been pruned
// since it was listed.
func (r Reader) Begin(ctx context.Context, c Chain) (Header, error) {
	h, _, err := r.Header(ctx, c.Epoch, c.Number, c.First())
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: %w", ErrNone, err)
	}
	return h, err
}

// owns says that a segment lies where it belongs.
func (r Reader) owns(key string, h Header) error {
	switch {
	case h.Key() != key:
		return fmt.Errorf("%w: it is the segment of %s", ErrDamaged, h.Key())
	case h.Cluster != r.Cluster:
		return fmt.Errorf("%w: it is of cluster %q", ErrDamaged, h.Cluster)
	}
	return nil
}

// End is where the newest chain of an epoch ends; the zero LogEnd when the
// epoch has none. When its last segments are no whole chain the error is
// ErrDamaged and the LogEnd says which chain it is: nothing may be added to it.
func (r Reader) End(ctx context.Context, epoch cluster.Epoch) (cluster.LogEnd, error) {
	chains, err := List(ctx, r.Objects, epoch)
	if err != nil || len(chains) == 0 {
		return cluster.LogEnd{}, err
	}
	c := chains[len(chains)-1]
	broken := cluster.LogEnd{Epoch: c.Epoch, Chain: c.Number}
	if n, missing := c.Missing(); missing {
		return broken, fmt.Errorf("segment %d of chain %d: %w: it is missing", n, c.Number, ErrDamaged)
	}
	_, end, err := r.Header(ctx, c.Epoch, c.Number, c.Last())
	if err != nil {
		return broken, err
	}
	return end, nil
}

// Claimed is what the segment says that it continues: where to begin a Walk
// with it, when nothing before it is to be read.
func (h Header) Claimed() cluster.LogEnd {
	return cluster.LogEnd{Epoch: h.Epoch, Chain: h.Chain, Number: h.Number - 1, Index: h.First - 1, Term: h.FirstTerm,
		Revision: h.FirstRevision, SHA256: h.Previous, At: h.From}
}

// Find is the first segment of which found is true, where it is false of all
// before and true of all after: it reads a few of them. ErrNone when there is
// none.
func (r Reader) Find(ctx context.Context, c Chain, found func(Header) bool) (Header, error) {
	var failed error
	headers := map[int]Header{}
	i := sort.Search(len(c.Segments), func(i int) bool {
		if failed != nil {
			return true
		}
		headers[i], _, failed = r.Header(ctx, c.Epoch, c.Number, c.Segments[i].Number)
		return failed != nil || found(headers[i])
	})
	switch {
	case failed != nil:
		return Header{}, failed
	case i == len(c.Segments):
		return Header{}, ErrNone
	}
	return headers[i], nil
}

// ErrNone says that no segment is the wanted one.
var ErrNone = errors.New("no such segment in the chain")

// From is where to begin a Walk for all entries after an index: the end of the
// segment before the one that holds index+1. ErrNone when the chain does not
// reach so far; ErrGap when it goes on later, with where that is.
func (r Reader) From(ctx context.Context, c Chain, index uint64) (cluster.LogEnd, error) {
	h, err := r.Find(ctx, c, func(h Header) bool { return h.Last > index })
	switch {
	case err != nil:
		return cluster.LogEnd{}, err
	case h.First > index+1:
		return h.Claimed(), fmt.Errorf("%w: it begins at index %d, after %d", ErrGap, h.First, index+1)
	}
	return h.Claimed(), nil
}

// ErrGap says that a chain does not hold the entry after a snapshot.
var ErrGap = errors.New("the chain does not go on from there")

// Walk reads the segments after previous, up to the number last, each held
// against the one before. It reads ahead; an error ends it, and everything it
// has yielded before is whole. A segment that is not there is ErrDamaged.
func (r Reader) Walk(ctx context.Context, previous cluster.LogEnd, last uint64) iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		queue := r.readAhead(ctx, previous, last)
		for number := previous.Number + 1; number <= last; number++ {
			got := next(ctx, queue)
			if got.err == nil {
				got.err = Verify(previous, got.segment.Header)
			}
			if errors.Is(got.err, store.ErrNotFound) {
				got.err = fmt.Errorf("segment %d of chain %d: %w: it is missing", number, previous.Chain, ErrDamaged)
			}
			if got.err != nil {
				yield(Segment{}, got.err)
				return
			}
			if !yield(got.segment, nil) {
				return
			}
			previous = got.end
		}
	}
}

type reading struct {
	segment Segment
	end     cluster.LogEnd
	err     error
}

// next is the next reading; there is none once ctx has ended.
func next(ctx context.Context, queue <-chan chan reading) reading {
	one, ok := <-queue
	if !ok {
		return reading{err: context.Cause(ctx)}
	}
	return <-one
}

// readAhead reads the segments in parallel and hands them out in order. Its
// goroutines end when ctx does, or when all is read.
func (r Reader) readAhead(ctx context.Context, previous cluster.LogEnd, last uint64) <-chan chan reading {
	queue := make(chan chan reading, ahead)
	go func() {
		defer close(queue)
		for number := previous.Number + 1; number <= last; number++ {
			one := make(chan reading, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return
			}
			go func() {
				s, end, err := r.Segment(ctx, previous.Epoch, previous.Chain, number)
				one <- reading{s, end, err}
			}()
		}
	}()
	return queue
}
