package printed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// observe looks once. What does not answer is unknown; an error is a fault of
// this machine alone.
func (n *Node) observe(ctx context.Context, source Source) (plan.Print, error) {
	o := n.Asked
	o.Disk = etcd.ReadDisk(n.Dir, n.EtcdDir)
	if o.Disk.State == cluster.DiskData {
		// An error says that an etcd runs on it, which has not been removed yet.
		o.Disk.Removed, _ = etcd.Removed(n.EtcdDir, o.Disk.MemberID)
	}
	_, o.Registry = source.(Registrar)
	asked, cancel := context.WithTimeoutCause(ctx, 3*patience, fmt.Errorf("no answer within %s", 3*patience))
	defer cancel()
	view, err := source.View(asked)
	if err != nil {
		if o.Disk.State != cluster.DiskData && !o.Registry {
			return o, err
		}
		view, o.Unread = cluster.View{}, strings.ReplaceAll(err.Error(), "\n", "; ")
	} else {
		o.View = cluster.Known(view)
		if n.AutoSize {
			o.Size = view.Size
		}
	}
	if o.Disk.State == cluster.DiskEmpty {
		if o.Mark, err = n.readMark(asked, source); err != nil {
			return o, err
		}
	}
	n.ask(ctx, &o, view.Peers)
	n.readRegistry(ctx, &o, source)
	return o, nil
}

// readRegistry reads what a registry keeps beside its peers, where it counts.
func (n *Node) readRegistry(ctx context.Context, o *plan.Print, source Source) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if r, ok := source.(Recorder); ok && o.Members.Unknown() && o.Disk.State == cluster.DiskEmpty {
		switch founders, recorded, err := r.Founders(ctx); {
		case err != nil:
		case recorded:
			o.Founders = cluster.Known(founders)
		default:
			o.Founders = cluster.Absent[[]cluster.Founder]()
		}
	}
	if s, ok := source.(Syncer); ok && o.Members.Known() && o.View.Known() && o.Register {
		inStep, err := s.InStep(ctx, o.Members.Value())
		o.OutOfStep = err == nil && !inStep
	}
}

// ask asks all peers, then every member that they name.
func (n *Node) ask(ctx context.Context, o *plan.Print, peers []cluster.Peer) {
	found := each(peers, func(p cluster.Peer) sight {
		return n.see(ctx, []string{p.ClientURL(n.Scheme)}, []string{p.PeerURL(o.Scheme)})
	})
	var names []cluster.Member
	for _, s := range found {
		if s.answer != nil {
			o.Answers = append(o.Answers, *s.answer)
			names = append(names, s.answer.Members...)
		}
		if s.quorum != nil && o.Members.Unknown() {
			o.Members = cluster.Known(s.quorum)
		}
	}
	if o.Members.Unknown() && len(names) > 0 {
		n.askMembers(ctx, o, names)
	}
	if !o.Members.Known() {
		return
	}
	n.examine(ctx, o, peers)
}

// askMembers finds a quorum by way of members that the source does not list.
func (n *Node) askMembers(ctx context.Context, o *plan.Print, members []cluster.Member) {
	for _, s := range each(members, func(m cluster.Member) sight { return n.see(ctx, m.ClientURLs, nil) }) {
		if s.answer != nil {
			o.Answers = append(o.Answers, *s.answer)
		}
		if s.quorum != nil && o.Members.Unknown() {
			o.Members = cluster.Known(s.quorum)
		}
	}
}

// examine finds how each member is. Where an empty disk asks, and a strategy
// would remove the dead, one that is silent is asked again and again for the
// whole look.
func (n *Node) examine(ctx context.Context, o *plan.Print, peers []cluster.Peer) {
	members := o.Members.Value()
	removes := o.Disk.State == cluster.DiskEmpty && (o.Join == cluster.JoinReplace || o.Join == cluster.JoinPrune)
	vitals := each(members, func(m cluster.Member) plan.Vital {
		clients := slices.Clone(m.ClientURLs)
		for _, p := range peers {
			if u := p.ClientURL(n.Scheme); m.Listens(p.PeerURL(o.Scheme)) && !slices.Contains(clients, u) {
				clients = append(clients, u)
			}
		}
		for until := time.Now().Add(n.Look); ; {
			s := n.see(ctx, clients, m.PeerURLs)
			switch {
			case s.healthy && s.answer.MemberID == m.ID:
				return plan.VitalHealthy
			case s.answer != nil || !removes || ctx.Err() != nil:
				return ""
			case time.Now().After(until):
				return plan.VitalSilent
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	})
	o.Vitals = map[cluster.MemberID]plan.Vital{}
	for i, m := range members {
		o.Vitals[m.ID] = vitals[i]
	}
}

// sight is what was seen at one machine.
type sight struct {
	answer  *plan.PrintAnswer
	quorum  []cluster.Member
	healthy bool
}

// see asks client ports first: only they tell of a quorum.
func (n *Node) see(ctx context.Context, clientURLs, peerURLs []string) sight {
	for _, u := range clientURLs {
		if s := n.seeClient(ctx, u); s.answer != nil {
			return s
		}
	}
	for _, u := range peerURLs {
		ctx, cancel := context.WithTimeout(ctx, patience)
		at, err := n.AtPeer(ctx, u)
		cancel()
		if err == nil {
			return sight{answer: &plan.PrintAnswer{At: u, ClusterID: at.ClusterID, Members: at.Members}}
		}
	}
	return sight{}
}

func (n *Node) seeClient(ctx context.Context, endpoint string) (s sight) {
	c := n.Dial(endpoint)
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	first, end := context.WithTimeout(ctx, patience)
	defer end()
	status, err := c.Status(first)
	if err != nil {
		return sight{}
	}
	s.answer = &plan.PrintAnswer{At: endpoint, ClusterID: status.ClusterID, MemberID: status.MemberID}
	s.answer.Members, _, _ = c.LocalMembers(first)
	if status.Learner {
		s.healthy = true
		return s
	}
	second, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if members, _, err := c.Members(second); err == nil {
		s.quorum, s.healthy = members, true
	}
	return s
}

// change has one member that reaches the quorum make a change: the first that does.
func (n *Node) change(ctx context.Context, source Source, act func(*etcd.Client) error) error {
	var problems []error
	for _, u := range n.endpoints(ctx, source) {
		if s := n.seeClient(ctx, u); s.quorum == nil {
			continue
		}
		c := n.Dial(u)
		err := act(c)
		c.Close()
		if err == nil || decided(err) {
			return err
		}
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		return errors.New("no member answers")
	}
	return errors.Join(problems...)
}

// decided says that etcd itself has refused: no other member would do otherwise.
func decided(err error) bool {
	for _, e := range []error{etcd.ErrUnhealthy, etcd.ErrTooManyLearners, etcd.ErrPeerURLExists, etcd.ErrMemberUnknown, etcd.ErrNotReady, etcd.ErrNotLearner} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// endpoints are the client URLs of peers and of the members that they name.
func (n *Node) endpoints(ctx context.Context, source Source) []string {
	view, err := source.View(ctx)
	if err != nil {
		return nil
	}
	var urls, more []string
	for _, p := range view.Peers {
		urls = append(urls, p.ClientURL(n.Scheme))
	}
	for _, s := range each(view.Peers, func(p cluster.Peer) sight { return n.see(ctx, nil, []string{p.PeerURL(n.Asked.Scheme)}) }) {
		if s.answer != nil {
			for _, m := range s.answer.Members {
				more = append(more, m.ClientURLs...)
			}
		}
	}
	slices.Sort(more)
	for _, u := range slices.Compact(more) {
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// each does something to all at once, and keeps the order.
func each[A, B any](all []A, do func(A) B) []B {
	out := make([]B, len(all))
	var wg sync.WaitGroup
	for i, a := range all {
		wg.Go(func() { out[i] = do(a) })
	}
	wg.Wait()
	return out
}
