package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

const testBump = 1_000_000

// start is when the log of these tests begins; each segment takes a second.
var start = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// TestBuild: what is built is opened by etcd itself, and is the source: keys,
// leases with their time, users and roles; and once more bumped, as members of a
// cluster of two.
func TestBuild(t *testing.T) {
	l := underLoad(t, 2*time.Second)
	arc := newArchive(t, l)
	t.Logf("%d segments, %d entries, revision %d", len(arc.segments), len(l.entries), l.end.revision)

	t.Run("the end", func(t *testing.T) { arc.theEnd(t, l) })
	t.Run("revisions", func(t *testing.T) { arc.revisions(t, l) })
	t.Run("an index", func(t *testing.T) { arc.anIndex(t, l) })
	t.Run("a time", func(t *testing.T) { arc.aTime(t) })
	t.Run("bumped, for two", func(t *testing.T) { arc.bumped(t, l) })
	t.Run("behind the end", func(t *testing.T) { arc.behindTheEnd(t, l) })
	t.Run("a charter", func(t *testing.T) { arc.aCharter(t, l) })
	t.Run("damage", func(t *testing.T) { arc.damage(t, l) })
	t.Run("another hash", func(t *testing.T) { anotherHash(t, l) })
}

// anotherHash: a hash in the midst that is not the replay's ends it, whatever the
// ones behind it say.
func anotherHash(t *testing.T, l *load) {
	arc := newArchive(t, l, 3)
	dir := filepath.Join(t.TempDir(), "m")
	r, err := arc.build(t, Cut{}, newNode(t, "4", dir).target(0))
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "segment 3: ") {
		t.Errorf("built %+v, %v", r, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("and yet it is there")
	}
	before := arc.segments[1].Last
	if r, err := arc.build(t, Cut{Index: before}, newNode(t, "4", dir).target(0)); err != nil || r.Checked == 0 {
		t.Errorf("before it: %+v, %v", r, err)
	}
}

func (arc *archive) build(t *testing.T, cut Cut, into ...backup.Target) (Result, error) {
	t.Helper()
	plans, err := Survey(t.Context(), arc.src, cut)
	if err != nil {
		return Result{}, err
	}
	return Build(t.Context(), arc.src, plans, nil, into...)
}

func (n *node) target(bump uint64) backup.Target {
	return backup.Target{DataDir: n.dir, Name: "m", PeerURL: n.peer, InitialCluster: "m=" + n.peer, Token: "new", Bump: bump}
}

// opened has etcd itself open what was built.
func (n *node) opened(t *testing.T) *clientv3.Client {
	t.Helper()
	n.start(t)
	c := n.connect(t, "root", "secret")
	await(t, "serving", func(ctx context.Context) error { _, err := c.Get(ctx, "x"); return err })
	return c
}

func (arc *archive) theEnd(t *testing.T, l *load) {
	n := newNode(t, "2", filepath.Join(t.TempDir(), "m"))
	r, err := arc.build(t, Cut{}, n.target(0))
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != l.end.revision || r.Checked != l.end.revision || r.Plan.Segments != len(arc.segments) || r.Plan.Last.At != arc.segments[len(arc.segments)-1].To {
		t.Errorf("built %+v, want revision %d", r, l.end.revision)
	}
	c := n.opened(t)
	h, err := c.HashKV(t.Context(), n.client, l.end.revision)
	if err != nil || h.Hash != l.end.hash || h.CompactRevision != l.end.compacted {
		t.Errorf("hash %d compacted to %d, want %+v: %v", h.Hash, h.CompactRevision, l.end, err)
	}
	got := &load{leases: map[clientv3.LeaseID]int64{}}
	got.askLeases(t, c)
	lasting := func(all map[clientv3.LeaseID]int64) map[clientv3.LeaseID]int64 {
		all = maps.Clone(all)
		maps.DeleteFunc(all, func(_ clientv3.LeaseID, ttl int64) bool { return ttl < 60 }) // they run out any moment
		return all
	}
	if !maps.Equal(lasting(got.leases), lasting(l.leases)) || len(lasting(l.leases)) == 0 {
		t.Errorf("%d leases, want %d", len(got.leases), len(l.leases))
	}
	users, err := c.UserList(t.Context())
	if err != nil || !slices.Equal(users.Users, l.users) {
		t.Errorf("users %v, want %v: %v", users, l.users, err)
	}
	if auth, err := c.AuthStatus(t.Context()); err != nil || !auth.Enabled || auth.AuthRevision != l.auth {
		t.Errorf("users and roles are %v, want them on, at revision %d: %v", auth, l.auth, err)
	}
	if perm, err := c.RoleGet(t.Context(), "part"); err != nil || len(perm.Perm) != 1 {
		t.Errorf("role %v: %v", perm, err)
	}
	if some := n.connect(t, "some", "body"); some != nil {
		if _, err := some.Put(t.Context(), "key/2", "x"); err != nil {
			t.Errorf("a user's own password: %v", err)
		}
	}
}

// revisions opens a few moments with etcd itself: each is exactly that revision.
func (arc *archive) revisions(t *testing.T, l *load) {
	later := slices.DeleteFunc(slices.Clone(l.samples), func(s sample) bool { return s.revision <= arc.base.Revision+10 })
	for _, s := range []sample{later[0], later[len(later)/2], later[len(later)-1]} {
		dir := filepath.Join(t.TempDir(), "m")
		n := newNode(t, "3", dir)
		r, err := arc.build(t, Cut{Revision: s.revision}, n.target(0))
		if err != nil || r.Revision != s.revision {
			t.Fatalf("built %+v, want revision %d: %v", r, s.revision, err)
		}
		a := openCopy(t, filepath.Join(dir, "member", "snap", "db"))
		checkHash(t, a, s)
		closeIt(t, a)
		c := n.start(t)
		status, err := c.Status(t.Context(), n.client)
		if err != nil && !errors.Is(err, rpctypes.ErrUserEmpty) || err == nil && status.Header.Revision < s.revision {
			t.Errorf("etcd opens revision %d: %v, %v", s.revision, status, err)
		}
		n.end(9)
	}
}

func (arc *archive) anIndex(t *testing.T, l *load) {
	at := arc.segments[len(arc.segments)/2].First + 77
	n := newNode(t, "3", filepath.Join(t.TempDir(), "m"))
	r, err := arc.build(t, Cut{Index: at}, n.target(0))
	if err != nil || r.Index != at {
		t.Errorf("built %+v, want index %d: %v", r, at, err)
	}
	a := openCopy(t, l.db)
	defer closeIt(t, a)
	for _, e := range l.entries {
		if e.GetIndex() <= at {
			if err := a.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a.Revision() != r.Revision {
		t.Errorf("index %d has revision %d, want %d", at, r.Revision, a.Revision())
	}
}

func (arc *archive) aTime(t *testing.T) {
	for _, half := range []time.Duration{0, 500 * time.Millisecond} {
		n := newNode(t, "3", filepath.Join(t.TempDir(), "m"))
		i := len(arc.segments) / 2
		r, err := arc.build(t, Cut{Time: arc.segments[i].To.Add(half)}, n.target(0))
		if err != nil || r.Index != arc.segments[i].Last {
			t.Errorf("built %+v, want index %d: %v", r, arc.segments[i].Last, err)
		}
	}
	n := newNode(t, "3", filepath.Join(t.TempDir(), "m"))
	if r, err := arc.build(t, Cut{Time: start.Add(time.Millisecond)}, n.target(0)); err != nil || r.Plan.Segments != 0 || r.Entries != 0 {
		t.Errorf("right after the snapshot: %+v, %v", r, err)
	}
	if _, err := arc.build(t, Cut{Time: start.Add(-time.Millisecond)}, n.target(0)); !errors.Is(err, ErrNothing) {
		t.Errorf("before the snapshot: %v", err)
	}
}

// bumped is what a recovery builds: several members out of one replay.
func (arc *archive) bumped(t *testing.T, l *load) {
	dir := t.TempDir()
	nodes := []*node{newNode(t, "4", filepath.Join(dir, "a")), newNode(t, "5", filepath.Join(dir, "b"))}
	initial := fmt.Sprintf("a=%s,b=%s", nodes[0].peer, nodes[1].peer)
	var into []backup.Target
	for i, n := range nodes {
		into = append(into, backup.Target{DataDir: n.dir, Name: string(rune('a' + i)), PeerURL: n.peer, InitialCluster: initial, Token: "new", Bump: testBump})
	}
	r, err := arc.build(t, Cut{}, into...)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []uint32
	for _, n := range nodes {
		a := openCopy(t, filepath.Join(n.dir, "member", "snap", "db"))
		if a.Revision() != r.Revision+testBump {
			t.Errorf("bumped to %d from %d", a.Revision(), r.Revision)
		}
		hash, _, err := a.Hash(0)
		if err != nil {
			t.Error(err)
		}
		hashes = append(hashes, hash)
		closeIt(t, a)
	}
	if hashes[0] != hashes[1] {
		t.Errorf("two members of one cut hash as %d", hashes)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left beside the two: %v, %v", left, err)
	}
}

// behindTheEnd: a cut that was never reached builds nothing.
func (arc *archive) behindTheEnd(t *testing.T, l *load) {
	for _, cut := range []Cut{{Revision: l.end.revision + 1}, {Index: l.entries[len(l.entries)-1].GetIndex() + 1}, {Revision: 1}, {Index: 1}} {
		dir := t.TempDir()
		n := newNode(t, "3", filepath.Join(dir, "m"))
		if r, err := arc.build(t, cut, n.target(0)); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: built %+v: %v", cut, r, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v, %v", cut, left, err)
		}
	}
}

// aCharter fixes an end that later segments do not move.
func (arc *archive) aCharter(t *testing.T, l *load) {
	end, why, err := Behind(t.Context(), arc.src, arc.base)
	if err != nil || why != "" || end.Index != l.entries[len(l.entries)-1].GetIndex() || end.SHA256 == "" {
		t.Errorf("the log ends at %+v, %q: %v", end, why, err)
	}
	half := arc.segments[len(arc.segments)/2]
	_, at, err := arc.src.Log.Header(t.Context(), 1, 1, half.Number)
	if err != nil {
		t.Fatal(err)
	}
	for index, end := range map[uint64]cluster.LogEnd{half.Last: at, arc.base.Index: {}} {
		p, err := Fixed(t.Context(), arc.src, arc.base, end)
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, "3", filepath.Join(t.TempDir(), "m"))
		if r, err := Build(t.Context(), arc.src, []Plan{p}, nil, n.target(0)); err != nil || r.Index != index {
			t.Errorf("built up to %d, want %d: %v", r.Index, index, err)
		}
	}
	at.SHA256 = strings.Repeat("1", 64)
	if _, err := Fixed(t.Context(), arc.src, arc.base, at); !errors.Is(err, chain.ErrDamaged) {
		t.Errorf("another segment than the charter's: %v", err)
	}
}

// damage comes last: it spoils the archive.
func (arc *archive) damage(t *testing.T, l *load) {
	dir := t.TempDir()
	n := newNode(t, "3", filepath.Join(dir, "m"))
	victim := arc.segments[len(arc.segments)-2]
	object, err := arc.st.Read(t.Context(), victim.Key())
	if err == nil {
		object[len(object)-9] ^= 1
		err = arc.st.Put(t.Context(), victim.Key(), object)
	}
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Survey(t.Context(), arc.src, Cut{})
	if err != nil {
		t.Fatal(err)
	}
	if end, why, err := Behind(t.Context(), arc.src, arc.base); err != nil || why == "" || end.Number != victim.Number-1 || end.SHA256 == "" {
		t.Errorf("the log ends at %+v, %q: %v", end, why, err)
	}
	if r, err := Build(t.Context(), arc.src, whole, nil, n.target(0)); !errors.Is(err, chain.ErrDamaged) {
		t.Errorf("a damaged segment: %+v, %v", r, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if r, err := arc.build(t, Cut{Index: victim.First - 1}, n.target(0)); err != nil || r.Index != victim.First-1 {
		t.Errorf("up to the damage: %d, %v", r.Index, err)
	}
	if err := arc.st.Delete(t.Context(), victim.Key()); err != nil {
		t.Fatal(err)
	}
	n = newNode(t, "3", filepath.Join(dir, "m2"))
	if r, err := arc.build(t, Cut{}, n.target(0)); err != nil || r.Plan.Broken == "" || r.Index != victim.First-1 {
		t.Errorf("a missing segment: %+v, %v", r, err)
	}
}
