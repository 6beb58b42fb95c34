package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// ErrDamaged says that a segment is not what it claims to be, or does not
// continue the one before it. Every other error is the store's, a key's or the
// caller's, and says nothing about the chain.
var ErrDamaged = errors.New("damaged")

const format = "quorate segment v1"

// Header says what a segment holds. Encode fills the fields that follow from
// the entries.
type Header struct {
	Format    string            `json:"format"`
	Cluster   string            `json:"cluster"`
	ClusterID cluster.ClusterID `json:"cluster_id"` // etcd's
	Epoch     cluster.Epoch     `json:"epoch"`
	Chain     int               `json:"chain"`
	Number    uint64            `json:"number"`

	First     uint64 `json:"first_index"`
	Last      uint64 `json:"last_index"`
	FirstTerm uint64 `json:"first_term"`
	LastTerm  uint64 `json:"last_term"`
	// FirstRevision is a lower bound of the revision before the first entry is
	// applied, LastRevision of that after the last one: etcd does not tell index
	// and revision of one moment, so the true ones may be greater.
	FirstRevision int64 `json:"first_revision"`
	LastRevision  int64 `json:"last_revision"`
	// From and To are when the writer saw the first and the last entry
	// committed, by its clock.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	// Previous is the SHA-256 of the object before this one; of the base's
	// manifest in segment 1. Base, in segment 1 alone, is that manifest's key.
	Previous string `json:"previous"`
	Base     string `json:"base,omitempty"`

	Entries int    `json:"entries"`
	Size    int64  `json:"size"`   // bytes of the entries, neither compressed nor encrypted
	SHA256  string `json:"sha256"` // of the body as stored

	Check *HashKV `json:"check,omitempty"`
	By    string  `json:"by"`           // the node that wrote it
	Etcd  string  `json:"etcd_version"` // of its member: who replays it must be of that minor
}

// HashKV is what the live member said of its keys at a revision that lies in
// the segment or before it; every compaction that it speaks of is applied by the
// segment's end.
type HashKV struct {
	Revision int64  `json:"revision"`
	Compact  int64  `json:"compact_revision"`
	Hash     uint32 `json:"hash"`
}

// End is where the log ends with this segment, whose object has that SHA-256.
func (h Header) End(sha string) cluster.LogEnd {
	return cluster.LogEnd{Epoch: h.Epoch, Chain: h.Chain, Number: h.Number, Index: h.Last, Term: h.LastTerm,
		Revision: h.LastRevision, SHA256: sha, At: h.To}
}

// Key is the segment's, in the store.
func (h Header) Key() string { return Key(h.Epoch, h.Chain, h.Number) }

// Base is the end that a chain's first segment continues: a full snapshot,
// whose manifest's bytes have that SHA-256.
func Base(b cluster.Backup, chain int, manifestSHA string) cluster.LogEnd {
	return cluster.LogEnd{Epoch: b.Epoch, Chain: chain, Index: b.Index, Term: b.Term, Revision: b.Revision, SHA256: manifestSHA, At: b.At}
}

// Verify says whether next continues what ends with previous, without a hole
// and without an overlap. Only the first segment may begin before its
// snapshot's end: a snapshot holds at least what its manifest says. The error
// is ErrDamaged.
func Verify(previous cluster.LogEnd, next Header) error {
	if why := misfit(previous, next); why != "" {
		return fmt.Errorf("segment %d of chain %d: %w: %s", next.Number, next.Chain, ErrDamaged, why)
	}
	return nil
}

func misfit(p cluster.LogEnd, h Header) string {
	switch {
	case h.Epoch != p.Epoch || h.Chain != p.Chain:
		return fmt.Sprintf("it is of epoch %d, chain %d, not of epoch %d, chain %d", h.Epoch, h.Chain, p.Epoch, p.Chain)
	case h.Number != p.Number+1:
		return fmt.Sprintf("it follows segment %d", p.Number)
	case h.Previous != p.SHA256:
		return "the object before it is another one than it was written after"
	case h.First > p.Index+1:
		return fmt.Sprintf("a hole: it begins at index %d, and %d is the last before it", h.First, p.Index)
	case p.Number > 0 && h.First <= p.Index:
		return fmt.Sprintf("it begins at index %d, which is stored already, up to %d", h.First, p.Index)
	case h.First == p.Index+1 && h.FirstTerm < p.Term:
		return fmt.Sprintf("its first term %d is below the term %d before it", h.FirstTerm, p.Term)
	case p.Number > 0 && h.FirstRevision < p.Revision:
		return fmt.Sprintf("its first revision %d is below the revision %d before it", h.FirstRevision, p.Revision)
	}
	return ""
}

// readHeader reads a header and holds it against itself.
func readHeader(line []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(line, &h); err != nil {
		return Header{}, fmt.Errorf("%w: its header: %w", ErrDamaged, err)
	}
	if why := unsound(h); why != "" {
		return Header{}, fmt.Errorf("%w: its header: %s", ErrDamaged, why)
	}
	return h, nil
}

func unsound(h Header) string {
	switch {
	case h.Format != format:
		return fmt.Sprintf("the format is %q, not %q", h.Format, format)
	case h.Epoch < 1 || h.Chain < 1 || h.Number < 1:
		return "epoch, chain or number is missing"
	case h.First < 1 || h.Last < h.First || h.Entries < 1 || uint64(h.Entries) != h.Last-h.First+1:
		return fmt.Sprintf("it speaks of %d entries from %d to %d", h.Entries, h.First, h.Last)
	case h.LastTerm < h.FirstTerm || h.LastRevision < h.FirstRevision:
		return "a term or revision goes back"
	case h.Size < 1 || h.Size > maxPayload:
		return fmt.Sprintf("it speaks of %d bytes", h.Size)
	case (h.Number == 1) != (h.Base != ""):
		return "the first segment, and no other, names its snapshot"
	case h.Check != nil && (h.Check.Revision < 1 || h.Check.Compact > h.Check.Revision):
		return fmt.Sprintf("it speaks of a hash at revision %d, compacted at %d", h.Check.Revision, h.Check.Compact)
	}
	return ""
}
