package etcd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// join adds other as a learner, starts it and returns its id.
func (m *member) join(other *member) cluster.MemberID {
	m.t.Helper()
	var id cluster.MemberID
	var list []cluster.Member
	eventually(m.t, "the learner is added", func() (err error) {
		id, list, err = m.agent.AddLearner(limit(m.t), other.peerURL())
		return err
	})
	var initial []string
	for _, e := range list {
		name := e.Name
		if e.ID == id {
			name = other.cfg.Name
		}
		initial = append(initial, name+"="+e.PeerURLs[0])
	}
	other.start(Start{State: StateExisting, InitialCluster: strings.Join(initial, ",")})
	return id
}

func (m *member) promote(id cluster.MemberID) {
	m.t.Helper()
	eventually(m.t, "the learner is promoted", func() error { return m.agent.Promote(limit(m.t), id) })
}

func TestMembership(t *testing.T) {
	a, b := newMember(t, "a", "127.0.0.62"), newMember(t, "b", "127.0.0.63")
	a.found()
	self := a.status()
	list, clusterID, err := a.agent.Members(limit(t))
	if err != nil || len(list) != 1 || list[0].ID != self.MemberID || clusterID != self.ClusterID || list[0].Name != "a" || !list[0].Listens(a.peerURL()) {
		t.Fatalf("Members of one: %v, %s, %v; status %+v", list, clusterID, err, self)
	}

	id, list, err := a.agent.AddLearner(limit(t), b.peerURL())
	if err != nil || len(list) != 2 {
		t.Fatalf("AddLearner: %v, %v", list, err)
	}
	if e, ok := cluster.ByID(list, id); !ok || !e.Learner || e.Started() {
		t.Errorf("the new entry: %+v, %v", e, ok)
	}
	wantRefusals(t, a, b, id)

	b.start(Start{State: StateExisting, InitialCluster: a.initialCluster() + "," + b.initialCluster()})
	eventually(t, "the learner sees itself", func() error {
		s, err := b.agent.Status(limit(t))
		if err == nil && (!s.Learner || s.Leader != self.MemberID || s.MemberID != id) {
			err = fmt.Errorf("status %+v", s)
		}
		return err
	})
	if err := b.agent.Healthy(limit(t)); !errors.Is(err, ErrLearner) {
		t.Errorf("Healthy on a learner: %v; want ErrLearner", err)
	}
	a.promote(id)
	if err := a.agent.Promote(limit(t), id); !errors.Is(err, ErrNotLearner) {
		t.Errorf("promoting a voter: %v; want ErrNotLearner", err)
	}
	b.waitHealthy()

	// b answers ErrNotLeader, a hands the lead over.
	if err := b.agent.MoveLeader(limit(t), id); !errors.Is(err, ErrNotLeader) {
		t.Errorf("MoveLeader at a follower: %v; want ErrNotLeader", err)
	}
	must(t, a.agent.MoveLeader(limit(t), id))
	if s := b.status(); s.Leader != id {
		t.Errorf("leader %s, want %s", s.Leader, id)
	}

	moved := hostURL("http", "127.0.0.64", 9)
	must(t, b.agent.Update(limit(t), self.MemberID, []string{a.peerURL(), moved}))
	list, _, err = b.agent.Members(limit(t))
	if e, _ := cluster.ByID(list, self.MemberID); err != nil || !slices.Contains(e.PeerURLs, moved) {
		t.Errorf("after Update: %v, %v", e, err)
	}
	eventually(t, "a is removed", func() error { return b.agent.Remove(limit(t), self.MemberID) })
	list, _, err = b.agent.Members(limit(t))
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("after Remove: %v, %v", list, err)
	}
	select {
	case <-a.proc.Done(): // etcd ends when it is removed
	case <-time.After(patience):
		t.Error("the removed member runs on")
	}
	b.stop()
	for _, m := range []*member{a, b} {
		if said, err := Removed(m.cfg.DataDir, m.disk().MemberID); err != nil || said != (m == a) {
			t.Errorf("%s's own data says that it has been removed: %v, %v", m.cfg.Name, said, err)
		}
	}
	if said, err := Removed(b.cfg.DataDir, self.MemberID); err != nil || !said {
		t.Errorf("b's data says that a has been removed: %v, %v", said, err)
	}
}

func wantRefusals(t *testing.T, a, b *member, learner cluster.MemberID) {
	t.Helper()
	if err := a.agent.Promote(limit(t), learner); !errors.Is(err, ErrNotReady) {
		t.Errorf("promoting an unstarted learner: %v; want ErrNotReady", err)
	}
	if _, _, err := a.agent.AddLearner(limit(t), b.peerURL()); !errors.Is(err, ErrPeerURLExists) {
		t.Errorf("adding it twice: %v; want ErrPeerURLExists", err)
	}
	if _, _, err := a.agent.AddLearner(limit(t), hostURL("http", "127.0.0.64", 9)); !errors.Is(err, ErrTooManyLearners) {
		t.Errorf("a second learner: %v; want ErrTooManyLearners", err)
	}
	if err := a.agent.Remove(limit(t), 1); !errors.Is(err, ErrMemberUnknown) {
		t.Errorf("removing nobody: %v; want ErrMemberUnknown", err)
	}
}

// Two voters, one dead: no quorum. What is linearizable fails within its time,
// the rest answers.
func TestWithoutAQuorum(t *testing.T) {
	a, b := newMember(t, "a", "127.0.0.65"), newMember(t, "b", "127.0.0.66")
	a.found()
	a.promote(a.join(b))
	b.waitHealthy()
	b.crash()

	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := a.agent.Healthy(soon); err == nil {
		t.Error("healthy without a quorum")
	}
	if _, _, err := a.agent.Members(soon); err == nil {
		t.Error("a linearizable list without a quorum")
	}
	list, _, err := a.agent.LocalMembers(limit(t))
	if err != nil || len(list) != 2 {
		t.Errorf("LocalMembers: %v, %v", list, err)
	}
	eventually(t, "the leader has stepped down", func() error {
		if s := a.status(); s.Leader != 0 || len(s.Errors) == 0 {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
	port, err := ProbePeerPort(limit(t), a.peerURL(), TLSFiles{})
	if self := a.status(); err != nil || port.ClusterID != self.ClusterID || len(port.Members) != 2 || port.Version != sevenThree.String() {
		t.Errorf("ProbePeerPort: %+v, %v; status %+v", port, err, self)
	}
	if _, err := ProbePeerPort(limit(t), b.peerURL(), TLSFiles{}); err == nil {
		t.Error("a dead member's peer port answers")
	}
}

// Three voters, one dead: etcd's strict check refuses a fourth entry until
// the dead one is removed.
func TestTheStrictCheck(t *testing.T) {
	members := foundThree(t)
	a, dead := members[0], members[2]
	id := dead.status().MemberID
	dead.crash()
	eventually(t, "two have a leader", func() error { return a.agent.Healthy(limit(t)) })
	added := hostURL("http", "127.0.0.64", 9)
	if _, _, err := a.agent.AddLearner(limit(t), added); !errors.Is(err, ErrUnhealthy) {
		t.Errorf("adding beside a dead member: %v; want ErrUnhealthy", err)
	}
	eventually(t, "the dead one is removed", func() error { return a.agent.Remove(limit(t), id) })
	eventually(t, "the learner is added", func() error {
		_, _, err := a.agent.AddLearner(limit(t), added)
		return err
	})
}

func TestReads(t *testing.T) {
	a := newMember(t, "a", "127.0.0.67")
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := a.agent.Status(soon); err == nil {
		t.Error("a status of what does not run")
	}
	a.found()
	for i := range 10 {
		a.put(fmt.Sprint("key", i), "value")
	}
	s := a.status()
	if !s.Running || s.Version != sevenThree.String() || s.Leader != s.MemberID || s.Term == 0 || s.Applied == 0 || s.Revision != 11 || s.DBSize == 0 || s.DBInUse == 0 || len(s.Errors) != 0 {
		t.Errorf("Status: %+v", s)
	}
	now, err := a.agent.KeyCount(limit(t), 0)
	then, thenErr := a.agent.KeyCount(limit(t), 5)
	if err != nil || thenErr != nil || now != 10 || then != 4 {
		t.Errorf("KeyCount: %d, %v now; %d, %v at 5", now, err, then, thenErr)
	}
	wantSnapshot(t, a)

	a.agent.Close()
	if _, err := a.agent.Status(limit(t)); err == nil {
		t.Error("a closed client answers")
	}
}

func wantSnapshot(t *testing.T, m *member) {
	t.Helper()
	r, err := m.agent.Snapshot(limit(t))
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	n := len(b) - sha256.Size
	if sum := sha256.Sum256(b[:n]); n <= 0 || !slices.Equal(sum[:], b[n:]) {
		t.Errorf("a snapshot of %d bytes does not match its checksum", n)
	}
	r, err = m.agent.Snapshot(limit(t))
	must(t, err)
	must(t, r.Close()) // unread: the stream ends all the same
}

// With auth on, permission refused still proves health, and credentials work.
func TestAuth(t *testing.T) {
	a := newMember(t, "a", "127.0.0.68")
	a.found()
	etcd, err := a.agent.open(limit(t))
	must(t, err)
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := etcd.UserAdd(ctx, "root", "secret"); return err },
		func(ctx context.Context) error { _, err := etcd.UserGrantRole(ctx, "root", "root"); return err },
		func(ctx context.Context) error { _, err := etcd.UserAdd(ctx, "nobody", "secret"); return err },
		func(ctx context.Context) error { _, err := etcd.AuthEnable(ctx); return err },
	} {
		must(t, do(limit(t)))
	}
	for name, who := range map[string]Credentials{
		"root": {"root", "secret"}, "a user without rights": {"nobody", "secret"},
		"a wrong password": {"root", "wrong"}, "nobody at all": {},
	} {
		c := Dial(a.clientURL(), TLSFiles{}, who)
		defer c.Close()
		if err := c.Healthy(limit(t)); err != nil {
			t.Errorf("Healthy as %s: %v", name, err)
		}
		_, err := c.KeyCount(limit(t), 0)
		_, _, listErr := c.Members(limit(t))
		_, statusErr := c.Status(limit(t))
		isRoot, isUser := name == "root", name == "root" || name == "a user without rights"
		if (err == nil) != isRoot || (listErr == nil) != isUser || (statusErr == nil) != isUser {
			t.Errorf("as %s: counting says %v, listing %v, status %v", name, err, listErr, statusErr)
		}
	}
	// A token of a restarted etcd is worthless; the client fetches another.
	root := Dial(a.clientURL(), TLSFiles{}, Credentials{"root", "secret"})
	defer root.Close()
	_, err = root.KeyCount(limit(t), 0)
	must(t, err)
	a.stop()
	a.start(Start{})
	a.waitHealthy()
	eventually(t, "the client has a new token", func() error {
		_, err := root.KeyCount(limit(t), 0)
		return err
	})
}
