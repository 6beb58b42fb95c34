package ship

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/raftlog"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// begun says that there is something for the next segment to continue.
func (p position) begun() bool { return p.end.Number > 0 || p.end.SHA256 != "" && p.base != "" }

// enter begins anew when the data is of another epoch: it has another history.
func (s *Shipper) enter(epoch cluster.Epoch) {
	if epoch == s.epoch || s.busy { // what is under way is of the epoch before
		return
	}
	s.drop()
	s.marks.forget()
	s.position = position{epoch: epoch, end: cluster.LogEnd{Epoch: epoch}}
	s.trouble, s.growth, s.pending, s.of = trouble{}, growth{}, nil, 0
}

// hear takes over from the others' reports how far the log is stored. Before
// anything is built on that, the store is asked.
func (s *Shipper) hear() {
	if b := s.scene.Backup; b != nil && b.Epoch == s.epoch {
		s.growth.full(b.Key, s.end)
	}
	for _, r := range s.scene.Reports {
		if r.Log != nil && r.Log.End.Epoch == s.epoch && s.end.Before(r.Log.End) {
			s.take(r.Log.End)
			s.known, s.base = false, ""
			if s.end.Number == 0 {
				s.fresh = max(s.fresh, s.end.Index)
			}
		}
	}
}

// heed begins a new chain because somebody has said so.
func (s *Shipper) heed() {
	if why := s.again.Swap(nil); why != nil && s.end.Chain > 0 {
		s.breakOff(*why, s.etcd.Applied)
	}
}

// take moves the end on. What was read goes on behind it, if it reaches so far.
func (s *Shipper) take(end cluster.LogEnd) {
	s.end, s.sent, s.gaps, s.wantsFull = end, nil, 0, false
	if s.hole { // it was before this end
		s.unable, s.hole = "", false
	}
	s.trim()
}

// trim lets go what is stored; what does not continue the end is read anew.
func (s *Shipper) trim() {
	if s.reader == nil {
		return
	}
	b := s.batch
	next := s.reader.Next()
	if next-uint64(len(b.entries)) > s.end.Index+1 || next <= s.end.Index {
		s.drop()
		return
	}
	s.batch = batch{}
	for i, e := range b.entries {
		if e.GetIndex() > s.end.Index {
			s.batch.add(b.entries[i:], s.seen)
			break
		}
	}
}

// findEnd asks the store whether the log ends where we have heard it does, or
// else where it ends.
func (s *Shipper) findEnd(ctx context.Context, heard cluster.LogEnd) func() {
	r := s.chains()
	if heard.Number > 0 {
		_, end, err := r.Header(ctx, heard.Epoch, heard.Chain, heard.Number)
		if err == nil && end.Same(heard) {
			return func() { s.found(end) }
		}
		if err != nil && !broken(err) && !errors.Is(err, store.ErrNotFound) {
			return func() { s.fail("looking for the log's end", err) }
		}
	}
	end, err := r.End(ctx, heard.Epoch)
	switch {
	case broken(err) && end.Chain >= heard.Chain: // a chain before is given up already
		return func() { s.breakOffAt(end, err.Error(), 0) }
	case err != nil && !broken(err):
		return func() { s.fail("looking for the log's end", err) }
	case end.Before(heard) && heard.Number > 0:
		return func() { s.breakOffAt(heard, "what was stored of it has gone", 0) }
	case end.Before(heard) || end.Chain == 0:
		end = cluster.LogEnd{Epoch: heard.Epoch, Chain: max(heard.Chain, 1), Index: heard.Index} // its base is chosen anew
	}
	return func() { s.found(end) }
}

// found takes the store's word, unless we have heard of more meanwhile.
func (s *Shipper) found(end cluster.LogEnd) {
	s.well()
	if end.Before(s.end) {
		return
	}
	s.take(end)
	s.known, s.base = true, ""
	s.growth.number = max(s.growth.number, end.Number) // we have not seen it grow
}

// breakOff ends the chain: the next one begins on a full snapshot that holds at
// least the index fresh.
func (s *Shipper) breakOff(why string, fresh uint64) { s.breakOffAt(s.end, why, fresh) }

func (s *Shipper) breakOffAt(at cluster.LogEnd, why string, fresh uint64) {
	s.fresh = max(s.fresh, fresh)
	next := cluster.LogEnd{Epoch: s.epoch, Chain: max(at.Chain, s.end.Chain) + 1, Index: s.fresh}
	s.log.Warn("the raft log goes on in a new chain", "reason", why, "chain", next.Chain)
	s.drop()
	s.take(next)
	s.known, s.base, s.growth.number = true, "", 0
}

// mayBase says that a chain may begin on a full snapshot.
func (p position) mayBase(b cluster.Backup) bool { return b.Epoch == p.epoch && b.Index >= p.fresh }

// chooseBase begins the chain on the newest full snapshot, if our log still has
// what comes behind it. Else there has to be a newer one.
func (s *Shipper) chooseBase(ctx context.Context) {
	b := s.scene.Backup
	if b == nil || !s.mayBase(*b) {
		s.wantsFull = true
		return
	}
	r, err := raftlog.Open(s.parts.WALDir, b.Index+1)
	if err != nil {
		s.wantsFull = errors.Is(err, raftlog.ErrGap)
		s.pauseAfter("reading the log", err)
		return
	}
	r.Close()
	base, number := *b, s.end.Chain
	s.task(ctx, func(ctx context.Context) func() {
		manifest, err := s.parts.Store.Read(ctx, base.Key)
		switch {
		case errors.Is(err, store.ErrNotFound): // pruned
			return func() { s.wantsFull = true }
		case err != nil:
			return func() { s.fail("reading the snapshot's manifest", err) }
		}
		sum := sha256.Sum256(manifest)
		return func() { s.begin(base, number, hex.EncodeToString(sum[:])) }
	})
}

func (s *Shipper) begin(b cluster.Backup, number int, manifest string) {
	if s.begun() || s.end.Chain != number {
		return
	}
	s.well()
	s.take(chain.Base(b, number, manifest))
	s.base = b.Key
}

func (s *Shipper) chains() chain.Reader {
	return chain.Reader{Objects: s.parts.Store, Codec: s.parts.Codec, Cluster: s.parts.Cluster}
}

// broken says that what is stored is not to be built upon.
func broken(err error) bool {
	return errors.Is(err, chain.ErrDamaged) || errors.Is(err, seal.ErrForged) || errors.Is(err, seal.ErrUnsigned)
}
