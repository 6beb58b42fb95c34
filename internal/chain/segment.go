package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

const (
	// maxPayload bounds what a segment may unpack to: a batch of some MiB and
	// the greatest request that an etcd can be told to take.
	maxPayload = 256 << 20
	window     = 1 << 20 // of zstd, on both sides
)

// Segment is a run of committed entries, by index and without a gap.
type Segment struct {
	Header
	Entries []*raftpb.Entry
}

// Codec turns segments into objects and back. It is safe for concurrent use.
type Codec struct {
	seal *seal.Sealer
	enc  *zstd.Encoder
	dec  *zstd.Decoder
}

// NewCodec makes a Codec that seals and opens with s; nil is plain text.
func NewCodec(s *seal.Sealer) (*Codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("opening zstd: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPayload), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("opening zstd: %w", err)
	}
	return &Codec{seal: s, enc: enc, dec: dec}, nil
}

// Encode makes the object of a segment, whose entries are at least one, and
// says where the log ends with it. What the header says of the entries and the
// body is filled in here; the rest is the caller's.
func (c *Codec) Encode(s Segment) ([]byte, cluster.LogEnd, error) {
	h, payload, err := describe(s)
	if err != nil {
		return nil, cluster.LogEnd{}, fmt.Errorf("encoding segment %d: %w", s.Number, err)
	}
	body, err := c.pack(payload)
	if err != nil {
		return nil, cluster.LogEnd{}, fmt.Errorf("encoding segment %d: %w", s.Number, err)
	}
	h.SHA256 = sum(body)
	line, err := json.Marshal(h)
	if err != nil {
		return nil, cluster.LogEnd{}, fmt.Errorf("encoding segment %d: %w", s.Number, err)
	}
	signature, err := c.seal.Sign(line)
	if err != nil {
		return nil, cluster.LogEnd{}, fmt.Errorf("encoding segment %d: %w", s.Number, err)
	}
	object := fmt.Appendf(line, "\n%x\n", signature)
	object = append(object, body...)
	return object, h.End(sum(object)), nil
}

// describe completes the header and frames the entries.
func describe(s Segment) (Header, []byte, error) {
	if len(s.Entries) == 0 {
		return Header{}, nil, errors.New("it has no entry")
	}
	payload, err := frame(s.Entries)
	if err != nil {
		return Header{}, nil, err
	}
	h, first, last := s.Header, s.Entries[0], s.Entries[len(s.Entries)-1]
	h.Format, h.Entries, h.Size = format, len(s.Entries), int64(len(payload))
	h.First, h.FirstTerm, h.Last, h.LastTerm = first.GetIndex(), first.GetTerm(), last.GetIndex(), last.GetTerm()
	if why := unsound(h); why != "" {
		return Header{}, nil, errors.New(why)
	}
	return h, payload, contiguous(h, s.Entries)
}

func (c *Codec) pack(payload []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := c.seal.Encrypt(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(c.enc.EncodeAll(payload, nil)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// DecodeHeader reads an object's header, says where the log ends with it, and
// holds the object against the header's signature and hash. It needs no key
// that opens the body.
func (c *Codec) DecodeHeader(object []byte) (Header, cluster.LogEnd, error) {
	h, _, err := c.open(object)
	if err != nil {
		return Header{}, cluster.LogEnd{}, err
	}
	return h, h.End(sum(object)), nil
}

// Decode reads a whole object. What is wrong with the object is ErrDamaged, or
// what package seal says of its signature; that a key is missing is neither.
func (c *Codec) Decode(object []byte) (Segment, cluster.LogEnd, error) {
	h, body, err := c.open(object)
	if err != nil {
		return Segment{}, cluster.LogEnd{}, err
	}
	payload, err := c.unpack(body, h.Size)
	if err != nil {
		return Segment{}, cluster.LogEnd{}, err
	}
	entries, err := unframe(payload, h.Entries)
	if err == nil {
		err = contiguous(h, entries)
	}
	if err != nil {
		return Segment{}, cluster.LogEnd{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return Segment{Header: h, Entries: entries}, h.End(sum(object)), nil
}

func (c *Codec) open(object []byte) (Header, []byte, error) {
	line, rest, ok := bytes.Cut(object, []byte("\n"))
	signed, body, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return Header{}, nil, fmt.Errorf("%w: it is cut", ErrDamaged)
	}
	signature, err := hex.DecodeString(string(signed))
	if err != nil {
		return Header{}, nil, fmt.Errorf("%w: its signature: %w", ErrDamaged, err)
	}
	if err := c.seal.Verify(line, signature); err != nil {
		return Header{}, nil, err
	}
	h, err := readHeader(line)
	if err != nil {
		return Header{}, nil, err
	}
	if sum(body) != h.SHA256 {
		return Header{}, nil, fmt.Errorf("%w: its SHA-256 is not the header's", ErrDamaged)
	}
	return h, body, nil
}

func (c *Codec) unpack(body []byte, size int64) ([]byte, error) {
	plain, err := c.seal.Decrypt(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	packed, err := io.ReadAll(plain)
	if err != nil {
		return nil, err
	}
	payload, err := c.dec.DecodeAll(packed, make([]byte, 0, min(size, int64(len(packed))*8)))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: unpacking: %w", ErrDamaged, err)
	case int64(len(payload)) != size:
		return nil, fmt.Errorf("%w: it unpacks to %d bytes, not %d", ErrDamaged, len(payload), size)
	}
	return payload, nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
