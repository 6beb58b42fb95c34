package fleettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// witness sees everything that must never be: two clusters in one epoch, a
// machine that goes while it is still a member, fewer voters than promised.
type witness struct {
	t testing.TB

	seen     sync.Mutex
	clusters map[cluster.Epoch]map[cluster.ClusterID]string // who was it that served it
	lists    []list
	leaves   []string // instances whose terminating hook was completed
	writer   *writer  // nil: nobody writes
}

// list is the voters as etcd told them.
type list struct {
	at     time.Time
	voters []string
}

func newWitness(t testing.TB) *witness {
	return &witness{t: t, clusters: map[cluster.Epoch]map[cluster.ClusterID]string{}}
}

// watch is one look at all machines.
func (f *fleet) watch(ctx context.Context) {
	var work sync.WaitGroup
	var mu sync.Mutex
	var serving []string
	for _, m := range f.running() {
		work.Go(func() {
			if r, err := m.report(); err == nil {
				f.noteCluster(m, r)
			}
			if m.ready() {
				mu.Lock()
				serving = append(serving, m.url(2379))
				mu.Unlock()
			}
		})
	}
	work.Wait()
	f.seen.Lock()
	w := f.writer
	f.seen.Unlock()
	if w != nil {
		w.follow(serving)
		f.noteMembers(ctx, w)
	}
}

func (w *witness) noteCluster(m *machine, r cluster.Report) {
	e, id := r.Disk.Epoch(), r.Etcd.ClusterID
	if !r.Etcd.Running || id == 0 || e == 0 {
		return
	}
	w.seen.Lock()
	defer w.seen.Unlock()
	if w.clusters[e] == nil {
		w.clusters[e] = map[cluster.ClusterID]string{}
	}
	w.clusters[e][id] = m.id
	if len(w.clusters[e]) > 1 {
		w.t.Errorf("epoch %d has more than one cluster: %v", e, w.clusters[e])
	}
}

// noteMembers keeps the history of the voters.
func (w *witness) noteMembers(ctx context.Context, c *writer) {
	voters, err := c.voters(ctx)
	if err != nil {
		return // no quorum, or nobody to ask: that is the writer's to find
	}
	w.seen.Lock()
	defer w.seen.Unlock()
	if n := len(w.lists); n > 0 && slices.Equal(w.lists[n-1].voters, voters) {
		return
	}
	w.lists = append(w.lists, list{time.Now(), voters})
}

// voters are the names of all voters, by a linearizable read.
func (w *writer) voters(ctx context.Context) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := w.cli.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range resp.Members {
		if !m.IsLearner {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// onTerminated holds that a hook is completed only for what is no member any more.
func (f *fleet) onTerminated(id string) {
	f.seen.Lock()
	f.leaves = append(f.leaves, id)
	w := f.writer
	f.seen.Unlock()
	if w == nil {
		return
	}
	voters, err := w.voters(context.Background())
	if err == nil && slices.Contains(voters, id) {
		f.whole.Errorf("the hook of %s is completed, and it is still a voter: %v", id, voters)
	}
}

// settled waits until the witness has seen the voters that there are now: what
// it sees later happens later. It is the time.
func (f *fleet) settled() time.Time {
	f.t.Helper()
	eventually(f.t, 20*time.Second, "the witness has seen the voters", func() error {
		voters, err := f.writer.voters(f.t.Context())
		if lists := f.since(time.Now()); err == nil && (len(lists) != 1 || !slices.Equal(lists[0].voters, voters)) {
			err = fmt.Errorf("%v, not %v", voters, tell(lists))
		}
		return err
	})
	return time.Now()
}

// since are the lists of voters seen after that time, and the one in force then.
func (w *witness) since(t time.Time) (lists []list) {
	w.seen.Lock()
	defer w.seen.Unlock()
	for _, l := range w.lists {
		if l.at.Before(t) {
			lists = nil
		}
		lists = append(lists, l)
	}
	return lists
}

// neverBelow holds that since then there were never fewer than n voters. That
// two go at once raft itself does not allow, and what is seen now and then could
// not tell.
func (f *fleet) neverBelow(n int, since time.Time) {
	f.t.Helper()
	lists := f.since(since)
	for _, l := range lists {
		if len(l.voters) < n {
			f.t.Errorf("fewer than %d voters: %s", n, tell(lists))
		}
	}
}

func tell(lists []list) string {
	var b strings.Builder
	for _, l := range lists {
		fmt.Fprintf(&b, "\n%s %v", l.at.Format("15:04:05.000"), l.voters)
	}
	return b.String()
}

// epochs are the epochs in which an etcd has served.
func (w *witness) epochs() []uint64 {
	w.seen.Lock()
	defer w.seen.Unlock()
	var all []uint64
	for e := range w.clusters {
		all = append(all, uint64(e))
	}
	slices.Sort(all)
	return all
}

// write begins to write, to whom a load balancer would.
func (f *fleet) write() *writer {
	f.t.Helper()
	w := newWriter(f.whole, f.serving())
	w.flows(f.t)
	f.seen.Lock()
	f.writer = w
	f.seen.Unlock()
	return w
}

// serving are the client URLs of the machines that are ready.
func (f *fleet) serving() (endpoints []string) {
	for _, m := range f.running() {
		if m.ready() {
			endpoints = append(endpoints, m.url(2379))
		}
	}
	return endpoints
}

// written ends the writing: every acknowledged write must be there.
func (f *fleet) written() {
	f.t.Helper()
	f.seen.Lock()
	w := f.writer
	f.writer = nil
	f.seen.Unlock()
	w.follow(f.serving())
	w.verify(f.t, w.end())
}
