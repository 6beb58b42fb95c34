package replay

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/chain"
)

// What goes between a restore and the worker that applies the log for it: orders
// one way and an answer to each the other way, JSON values one behind the other.
// A batch's entries follow its order, each behind its length.

// order is one of its fields.
type order struct {
	Open  *opening `json:"open,omitempty"`
	Batch *portion `json:"batch,omitempty"`
	Close bool     `json:"close,omitempty"`
}

// opening names a database and where to stop; zeros: nowhere.
type opening struct {
	DB       string `json:"db"`
	Index    uint64 `json:"index,omitempty"`
	Revision int64  `json:"revision,omitempty"`
}

// portion is a segment.
type portion struct {
	Entries int           `json:"entries"`
	Size    int           `json:"size"` // bytes that follow
	Check   *chain.HashKV `json:"check,omitempty"`
}

// answer says where the worker stands.
type answer struct {
	Index    uint64 `json:"index"`
	Revision int64  `json:"revision"`
	Reached  bool   `json:"reached,omitempty"` // the cut
	Checked  int64  `json:"checked,omitempty"` // the last revision at which it hashed as the live cluster did
	Error    string `json:"error,omitempty"`   // nothing more can be done
	Fault    string `json:"fault,omitempty"`   // one of faults
}

// faults are the errors that are told apart on the other side.
var faults = map[string]error{"gap": ErrGap, "diverged": ErrDiverged, "entry": ErrUnreplayable}

// faulty is the answer that tells an error.
func faulty(at answer, err error) answer {
	at.Error = err.Error()
	for name, fault := range faults {
		if errors.Is(err, fault) {
			at.Fault = name
		}
	}
	return at
}

// unreplayable blames the log for what an entry has led to.
func unreplayable(err error) error {
	if errors.Is(err, ErrGap) {
		return err
	}
	return hearsay{err.Error(), ErrUnreplayable}
}

// hearsay is an error that was told by another process.
type hearsay struct {
	text  string
	fault error // may be nil
}

func (t hearsay) Error() string { return t.text }
func (t hearsay) Unwrap() error { return t.fault }

// frame appends the entries to a buffer.
func frame(to []byte, entries []*raftpb.Entry) ([]byte, error) {
	for _, e := range entries {
		var err error
		to = binary.AppendUvarint(to, uint64(proto.Size(e)))
		if to, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(to, e); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// unframe is the entries again.
func unframe(from []byte, n int) ([]*raftpb.Entry, error) {
	entries := make([]*raftpb.Entry, 0, n)
	for len(from) > 0 {
		size, width := binary.Uvarint(from)
		if width <= 0 || size > uint64(len(from)-width) {
			return nil, errors.New("an entry is cut")
		}
		var e raftpb.Entry
		if err := proto.Unmarshal(from[width:width+int(size)], &e); err != nil {
			return nil, err
		}
		entries, from = append(entries, &e), from[width+int(size):]
	}
	if len(entries) != n {
		return nil, fmt.Errorf("%d entries, not %d", len(entries), n)
	}
	return entries, nil
}
