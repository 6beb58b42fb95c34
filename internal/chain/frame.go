package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// frame writes each entry as its length, a varint, and its protobuf.
func frame(entries []*raftpb.Entry) ([]byte, error) {
	var out []byte
	for _, e := range entries {
		raw, err := proto.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.GetIndex(), err)
		}
		out = append(binary.AppendUvarint(out, uint64(len(raw))), raw...)
	}
	return out, nil
}

var errCut = errors.New("its entries are cut")

// unframe reads exactly n entries.
func unframe(b []byte, n int) ([]*raftpb.Entry, error) {
	entries := make([]*raftpb.Entry, 0, min(n, len(b)))
	for len(b) > 0 {
		size, width := binary.Uvarint(b)
		if width <= 0 || size > uint64(len(b)-width) {
			return nil, errCut
		}
		e := new(raftpb.Entry)
		if err := proto.Unmarshal(b[width:width+int(size)], e); err != nil {
			return nil, fmt.Errorf("entry %d of %d: %w", len(entries)+1, n, err)
		}
		entries, b = append(entries, e), b[width+int(size):]
	}
	if len(entries) != n {
		return nil, errCut
	}
	return entries, nil
}

// contiguous holds the entries against the header: each index follows the one
// before, no term goes back, and both ends are the header's.
func contiguous(h Header, entries []*raftpb.Entry) error {
	term := h.FirstTerm
	for i, e := range entries {
		switch {
		case e.GetIndex() != h.First+uint64(i):
			return fmt.Errorf("entry %d is where %d belongs", e.GetIndex(), h.First+uint64(i))
		case e.GetTerm() < term || i == 0 && e.GetTerm() != term:
			return fmt.Errorf("entry %d is of term %d, before it is %d", e.GetIndex(), e.GetTerm(), term)
		}
		term = e.GetTerm()
	}
	if term != h.LastTerm {
		return fmt.Errorf("its last term is %d, not %d", term, h.LastTerm)
	}
	return nil
}
