package ship

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/raftlog"
)

const (
	pollEvery = 250 * time.Millisecond
	pollLimit = 2 * time.Second
	// taskLimit bounds what is asked of the store at once.
	taskLimit = 30 * time.Second
	// lastLimit bounds the last write, when the agent ends.
	lastLimit = 3 * time.Second
)

// Store is the part of store.Store that shipping needs; the whole contract
// stands there.
type Store interface {
	chain.Objects
	// Create writes an object only if it is absent, else it is store.ErrExists.
	// Another error leaves it open whether it was, or yet will be, written.
	Create(ctx context.Context, key string, data []byte) error
}

// Scene is what the agent around knows now.
type Scene struct {
	// Epoch is that of the data which the member serves; 0: do not ship.
	Epoch cluster.Epoch
	// Reports are the other agents', fresh ones alone.
	Reports []cluster.Report
	// Backup is the newest good full snapshot; nil when none is known.
	Backup *cluster.Backup
}

// Parts are what a Shipper works with.
type Parts struct {
	Log     *slog.Logger
	Cluster string
	Node    string
	WALDir  string // member/wal of etcd's data directory
	Store   Store
	Codec   *chain.Codec
	// Status asks the member beside; an error when it does not answer.
	Status func(context.Context) (cluster.EtcdState, error)
	// Hash asks it for the hash of its keys at its newest revision, so that a replay
	// can be held against it; nil: no hashes are stored.
	Hash func(context.Context) (chain.HashKV, error)
	// Look returns at once.
	Look func() Scene
}

// Shipper ships one member's log. Make it with New and give it to Run, once.
type Shipper struct {
	parts Parts
	log   *slog.Logger
	marks marks
	out   atomic.Pointer[cluster.LogReport]
	again atomic.Pointer[string] // why a new chain is to begin

	// Of the loop alone.
	scene  Scene
	etcd   cluster.EtcdState // of the last poll; zero when it did not answer
	member cluster.EtcdState // of the last one that it answered
	at     time.Time         // of the last poll
	active bool              // it is our turn
	duty   bool              // it was when the member last answered
	busy   bool              // a task is under way
	tasks  chan func()
	position
	reading
	trouble
	growth growth
	checking
	hashing sync.WaitGroup
}

// position is how far the log is stored, as far as we know.
type position struct {
	epoch cluster.Epoch
	// end with Number 0 is that of a chain that is to begin; it has a SHA256
	// once its base is chosen.
	end   cluster.LogEnd
	base  string   // key of the manifest that the chain is to begin on
	known bool     // the store itself has told us the end
	fresh uint64   // a base must hold this index
	sent  *sending // encoded, and not yet known to be stored
}

// reading is what we have of our member's log.
type reading struct {
	reader *raftlog.Reader
	batch  batch     // behind end, and behind sent if there is one
	moved  time.Time // when the reader last yielded, or had nothing to
	gaps   int       // found in a row
}

// New makes a Shipper.
func New(p Parts) *Shipper {
	s := &Shipper{parts: p, log: p.Log, tasks: make(chan func(), 1), checking: checking{answers: make(chan *check, 1)}}
	s.out.Store(&cluster.LogReport{})
	return s
}

// Run ships until ctx ends; then it writes what its member has committed, once.
// It returns when all its work has ended.
func (s *Shipper) Run(ctx context.Context) error {
	defer s.drop()
	defer s.hashing.Wait()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		s.round(ctx)
		select {
		case <-ctx.Done():
			s.last(context.WithoutCancel(ctx))
			return nil
		case apply := <-s.tasks:
			s.busy = false
			apply()
		case <-tick.C:
		}
	}
}

// task does something with the store in the background, one thing at a time;
// what it returns is done by the loop.
func (s *Shipper) task(ctx context.Context, do func(context.Context) func()) {
	s.busy = true
	go func() {
		ctx, cancel := context.WithTimeout(ctx, taskLimit)
		defer cancel()
		s.tasks <- do(ctx)
	}()
}

// round is poll → hear → ship → publish.
func (s *Shipper) round(ctx context.Context) {
	s.scene = s.parts.Look()
	s.poll(ctx)
	if s.enter(s.scene.Epoch); s.epoch == 0 {
		s.active = false
		s.publish()
		return
	}
	if s.etcd.Applied > 0 {
		s.marks.note(s.etcd.Applied, s.etcd.Revision, s.at)
	}
	s.hear()
	s.heed()
	s.settle()
	nodes := nodesOf(s.epoch, s.scene.Reports)
	// Without a leader nothing new is committed, but what is must be shipped.
	if s.etcd.MemberID != 0 && !s.etcd.Learner {
		nodes = append(nodes, s.self())
		s.duty = turn(s.parts.Node, nodes, s.Unshipped(s.at))
	}
	if s.active = s.duty && s.etcd.MemberID != 0; s.active {
		s.ship(ctx, nodes)
	} else {
		s.rest()
	}
	s.settle()
	s.publish()
}

func (s *Shipper) self() node {
	return node{name: s.parts.Node, leader: s.etcd.Leader == s.etcd.MemberID, unable: s.unable != "", hole: s.hole}
}

// poll asks the member what it has applied.
func (s *Shipper) poll(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	var err error
	if s.etcd, err = s.parts.Status(call); err != nil {
		s.etcd = cluster.EtcdState{}
	} else {
		s.member = s.etcd
	}
	s.at = time.Now()
}

// ship takes the next step: find the end, choose a base, read, write.
func (s *Shipper) ship(ctx context.Context, nodes []node) {
	s.checks(ctx)
	s.read(ctx)
	switch {
	case s.busy || s.at.Before(s.notBefore):
	case s.hole && lost(nodes) && first(s.parts.Node, nodes):
		s.breakOff("no member's log goes on from its end", s.end.Index+1)
	case s.hole:
	case !s.known:
		end := s.end
		s.task(ctx, func(ctx context.Context) func() { return s.findEnd(ctx, end) })
	case !s.begun():
		s.chooseBase(ctx)
	default:
		s.flush(ctx)
	}
}

// rest lets go what only the one who ships needs.
func (s *Shipper) rest() {
	if s.busy {
		return
	}
	s.drop()
	if s.sent != nil && !s.duty { // it may have been stored: whoever ships now will find it
		s.sent, s.known = nil, false
	}
	if !s.hole && s.at.After(s.until) {
		s.unable = ""
	}
}

// last writes what is left when the agent ends: etcd has ended before, and its
// file says by itself what is committed.
func (s *Shipper) last(ctx context.Context) {
	if s.busy {
		(<-s.tasks)()
		s.busy = false
	}
	ctx, cancel := context.WithTimeout(ctx, lastLimit)
	defer cancel()
	for range 2 { // what was sent and may not have arrived, and what comes behind it
		if s.duty && s.known && s.begun() && !s.hole {
			s.notBefore = time.Time{}
			s.read(ctx)
			if s.sent != nil || s.batch.changing > 0 && s.encode() == nil {
				s.offer(ctx, *s.sent, s.end)()
			}
		}
	}
	s.settle()
	s.publish()
}

// settle says up to where all is stored, or changes nothing.
func (s *Shipper) settle() {
	safe := s.stored()
	if s.active && s.sent == nil && s.reader != nil {
		safe = max(safe, s.batch.safe(s.reader.Next()-1))
	}
	for _, r := range s.scene.Reports {
		if r.Log != nil && r.Log.End.Same(s.end) {
			safe = max(safe, r.Log.Safe)
		}
	}
	s.marks.settle(safe)
}

// stored is the last index that the store holds: in the newest chain, or in a
// full snapshot.
func (s *Shipper) stored() uint64 {
	var stored uint64
	if s.end.Number > 0 || s.end.SHA256 != "" {
		stored = s.end.Index
	}
	if b := s.scene.Backup; b != nil && s.mayBase(*b) {
		stored = max(stored, b.Index)
	}
	return stored
}

func (s *Shipper) publish() {
	r := cluster.LogReport{End: s.end, Safe: s.marks.safeIndex(), Unable: s.unable, Hole: s.hole, Shipping: s.active}
	r.WantsFull = s.active && (s.wantsFull || s.growth.tooMuch(s.end))
	if s.unable != "" {
		r.Failing = s.failing
	}
	if s.epoch == 0 {
		r = cluster.LogReport{}
	}
	s.out.Store(&r)
}

// Report is what the other agents are to know.
func (s *Shipper) Report() cluster.LogReport { return *s.out.Load() }

// Unshipped is the age of the oldest entry that this member has applied and
// that the store does not hold, by whomever; 0 when there is none. Entries that
// change nothing do not count. What others have stored is known after two
// seconds at the latest, so it may be too great by that, and is never too small
// by more than a poll.
func (s *Shipper) Unshipped(now time.Time) time.Duration { return s.marks.unshipped(now) }

// Restart begins a new chain, on a full snapshot that is yet to be taken: for
// whoever has found the chain, or what it begins on, to be damaged. Safe for
// concurrent use.
func (s *Shipper) Restart(why string) { s.again.Store(&why) }
