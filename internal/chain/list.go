package chain

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// Objects is the part of store.Store that reading needs; the whole contract
// stands there.
type Objects interface {
	// Read says store.ErrNotFound only when it is proven that there is no such
	// object.
	Read(ctx context.Context, key string) ([]byte, error)
	// List holds every object under the prefix, or is an error.
	List(ctx context.Context, prefix string) ([]store.Object, error)
}

// Prefix is where all segments are.
const Prefix = "log/"

var ours = regexp.MustCompile(`^log/(\d{10,})/(\d{6,})/(\d{10,})\.seg$`)

// Key is where a segment is stored.
func Key(epoch cluster.Epoch, chain int, number uint64) string {
	return fmt.Sprintf("%s%010d/%06d/%010d.seg", Prefix, epoch, chain, number)
}

// parseKey takes a key apart; false if it is not a segment's. Nothing else
// under the prefix is ever read or deleted.
func parseKey(key string) (epoch cluster.Epoch, chain int, number uint64, ok bool) {
	parts := ours.FindStringSubmatch(key)
	if parts == nil {
		return 0, 0, 0, false
	}
	e, err1 := strconv.ParseUint(parts[1], 10, 64)
	c, err2 := strconv.Atoi(parts[2])
	n, err3 := strconv.ParseUint(parts[3], 10, 64)
	ok = err1 == nil && err2 == nil && err3 == nil && Key(cluster.Epoch(e), c, n) == key
	return cluster.Epoch(e), c, n, ok
}

// Stored is one segment in a listing.
type Stored struct {
	Number uint64    `json:"number"`
	Size   int64     `json:"size"` // bytes of the object
	At     time.Time `json:"at"`   // the store's time
}

// Chain is one chain in a listing: at least one segment, in order. The first
// ones may have been pruned; a number that is missing later is a loss.
type Chain struct {
	Epoch    cluster.Epoch `json:"epoch"`
	Number   int           `json:"number"`
	Segments []Stored      `json:"segments"`
}

// Key is where a segment of the chain is stored.
func (c Chain) Key(number uint64) string { return Key(c.Epoch, c.Number, number) }

// First and Last are the numbers at the chain's ends.
func (c Chain) First() uint64 { return c.Segments[0].Number }

// Last is the greatest number, whatever is missing before it.
func (c Chain) Last() uint64 { return c.Segments[len(c.Segments)-1].Number }

// Size is how many bytes the chain takes in the store.
func (c Chain) Size() (n int64) {
	for _, s := range c.Segments {
		n += s.Size
	}
	return n
}

// Missing is the first number after First that is not there though a later
// one is.
func (c Chain) Missing() (uint64, bool) {
	for i, s := range c.Segments {
		if s.Number != c.First()+uint64(i) {
			return c.First() + uint64(i), true
		}
	}
	return 0, false
}

// MissingBefore is the first of the numbers that are missing right before one,
// where an earlier segment is there.
func (c Chain) MissingBefore(number uint64) (uint64, bool) {
	for _, s := range slices.Backward(c.Segments) {
		if s.Number < number {
			return s.Number + 1, s.Number+1 < number
		}
	}
	return 0, false
}

// List is every chain of an epoch, or with 0 of all of them, oldest first. It
// reads no segment.
func List(ctx context.Context, st Objects, epoch cluster.Epoch) ([]Chain, error) {
	prefix := Prefix
	if epoch > 0 {
		prefix = fmt.Sprintf("%s%010d/", Prefix, epoch)
	}
	objects, err := st.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the log: %w", err)
	}
	return sorted(objects), nil
}

func sorted(objects []store.Object) (chains []Chain) {
	type id struct {
		epoch cluster.Epoch
		chain int
	}
	at := map[id]int{}
	for _, o := range objects {
		e, c, n, ok := parseKey(o.Key)
		if !ok {
			continue
		}
		i, known := at[id{e, c}]
		if !known {
			i = len(chains)
			at[id{e, c}], chains = i, append(chains, Chain{Epoch: e, Number: c})
		}
		chains[i].Segments = append(chains[i].Segments, Stored{n, o.Size, o.ModTime})
	}
	for _, c := range chains {
		slices.SortFunc(c.Segments, func(a, b Stored) int { return cmp.Compare(a.Number, b.Number) })
	}
	slices.SortFunc(chains, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Number, b.Number))
	})
	return chains
}
