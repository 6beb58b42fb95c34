package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/raftlog"
	"github.com/quorate/quorate/internal/replay"
)

// loadedRate is how many writes a second must be acknowledged, on the mean, for
// what is shown to count as shown under load.
const loadedRate = 1000

// TestShippedWhenAllIsLost: under load every process is killed at once, and
// every disk is gone. What the store holds of the raft log is all that was
// acknowledged, but for the last second; the metric has told the truth; and
// what the agents make of it is the cluster, with its leases, users and roles.
func TestShippedWhenAllIsLost(t *testing.T) { // not parallel: it wants the processors
	r := withAuth(t)
	r.flags = append(r.flags, "--backup-interval", "1h", cheapPasswords)
	a, b, c := r.trio()
	hosts := []*host{a, b, c}
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	r.put(r.client("a"), "first", "1")
	r.ships(40*time.Second, hosts...)
	var all []*journal
	writes, spent := 0, time.Duration(0)
	for round := range 3 {
		j := r.traffic(loadWriters, "a", "b", "c")
		all = append(all, j)
		if round == 0 {
			r.written(j, 2000)
			r.enableAuth(r.client("a"))
		}
		r.written(j, 8000)
		writes, spent = writes+j.count(), spent+time.Since(j.began)
		t.Logf("round %d: %.0f writes/s", round, j.rate())
		if round < 2 { // it settles, and everything is there
			j.end()
			r.allStored(hosts...)
			s := r.shipped(1)
			if n, _ := s.lacking(j); n > 0 || s.chains != 1 {
				t.Errorf("at rest %d of %d writes are not stored, in %d chains", n, len(j.acked), s.chains)
			}
		}
	}
	last := all[2]
	said := map[string]float64{}
	saidAt := map[string]time.Time{}
	for _, h := range hosts {
		saidAt[h.name] = time.Now()
		said[h.name], _ = h.unshipped()
	}
	killed := time.Now()
	for _, h := range hosts {
		h.signal(syscall.SIGKILL)
		h.killEtcd()
	}
	took := time.Since(killed)
	for _, h := range hosts {
		h.wipe()
		if _, err := os.Stat(h.dataDir()); err == nil {
			t.Error("a disk is left")
		}
	}
	last.end()
	wanted := loadedRate
	if !long() { // other tests have their share of a machine that may be slow: a load all the same
		wanted /= 10
	}
	if rate := float64(writes) / spent.Seconds(); rate < float64(wanted) {
		t.Errorf("%.0f writes/s on the mean: less than %d proves little", rate, wanted)
	}
	s := r.shipped(1)
	n, first := s.lacking(last)
	lost := time.Duration(0)
	if n > 0 {
		lost = killed.Sub(first)
	}
	t.Logf("%d writes in %s; %d of the last %d are lost, of the last %s; the metric said %v; killing took %s; %d entries, %d segments, %d bytes, %d hashes",
		writes, spent, n, len(last.acked), lost, said, took, len(s.entries), s.end.Number, s.bytes, s.checks)
	if s.chains != 1 || lost > time.Second || s.checks == 0 {
		t.Errorf("%d writes of the last %s are lost, in %d chains with %d hashes", n, lost, s.chains, s.checks)
	}
	for name, age := range said {
		if since := killed.Sub(saidAt[name]).Seconds(); lost.Seconds() > age+since+0.5 {
			t.Errorf("%s said %.2f s, %.2f s before, and what is lost is of %s", name, age, since, lost)
		}
	}
	r.wantHashes(t, s, all...)

	startAll(a, b, c)
	r.voters(120*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Log.Number != s.end.Number || charter.Seed.Log.Index != s.end.Index {
		t.Errorf("seed %+v, want the log's end %+v", charter.Seed, s.end)
	}
	if !regexp.MustCompile(`the log was applied.*checked_revision=[1-9]`).MatchString(a.log()) {
		t.Error("the replay was held against no hash")
	}
	root := r.asRoot("a", "b", "c")
	changes := 0
	for _, j := range all {
		by := killed.Add(-time.Second)
		changes += j.wantAuth(t, r, by, "a", "b", "c")
		j.wantKeys(t, r, root, by)
		j.wantLeases(t, root, by)
	}
	if changes < 5 {
		t.Errorf("only %d changes of users and roles", changes)
	}
}

// written waits until so many writes are acknowledged, and some seconds are over.
func (r *rig) written(j *journal, n int) {
	r.t.Helper()
	r.eventually(120*time.Second, "much is written", func() error {
		if time.Since(j.began) < 5*time.Second || j.count() < n {
			return fmt.Errorf("%d writes", j.count())
		}
		return nil
	})
}

// allStored waits until every host says that nothing is unshipped.
func (r *rig) allStored(hosts ...*host) {
	r.t.Helper()
	r.eventually(30*time.Second, "all is stored", func() error {
		for _, h := range hosts {
			if age, ok := h.unshipped(); !ok || age > 0 {
				return fmt.Errorf("%s: %.1f s", h.name, age)
			}
		}
		return nil
	})
}

// wantHashes restores to some of the moments at which a member said the hash of
// its keys, and wants that hash.
func (r *rig) wantHashes(t *testing.T, s shipped, all ...*journal) {
	t.Helper()
	compared := 0
	for _, j := range all {
		rand.Shuffle(len(j.hashes), func(i, k int) { j.hashes[i], j.hashes[k] = j.hashes[k], j.hashes[i] })
		for _, want := range j.hashes[:min(len(j.hashes), 2)] {
			if want.Revision > s.end.Revision {
				continue
			}
			to := filepath.Join(t.TempDir(), "m")
			r.does("restore", "--store", r.store, "--cluster", "test", "--at", strconv.FormatInt(want.Revision, 10), "--bump", "0", "--to", to)
			db, err := replay.Open(filepath.Join(to, "member", "snap", "db"))
			must(t, err)
			hash, compact, err := db.Hash(want.Revision)
			must(t, err)
			if compact == want.Compact { // else it compacted while it hashed
				if compared++; hash != want.Hash {
					t.Errorf("at revision %d, compacted at %d, the hash is %d, and was %d", want.Revision, compact, hash, want.Hash)
				}
			}
			must(t, db.Close())
		}
	}
	if compared < 2 {
		t.Errorf("only %d hashes were compared", compared)
	}
}

// TestShippingSurvives: under load the leader's etcd, the agent that ships and
// whole machines are killed at random. The chain has no hole and no index with
// two entries, it is one chain, it agrees with every member's own log, and at
// rest it holds every acknowledged write.
func TestShippingSurvives(t *testing.T) {
	r := withAuth(t)
	r.flags = append(r.flags, "--backup-interval", "1h", cheapPasswords)
	a, b, c := r.trio()
	hosts := []*host{a, b, c}
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	r.ships(40*time.Second, hosts...)
	j := r.traffic(loadWriters/4, "a", "b", "c")
	more := func(n int) {
		t.Helper()
		until := j.count() + n
		r.eventually(60*time.Second, "more is written", func() error {
			if j.count() < until {
				return fmt.Errorf("%d of %d", j.count(), until)
			}
			return nil
		})
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	more(500)
	r.enableAuth(r.client("a"))
	for range 6 {
		h := hosts[random.IntN(3)]
		switch what := random.IntN(4); what {
		case 0:
			r.leader("a", "b", "c").killEtcd()
		case 1:
			h = r.shipper(hosts...)
			h.killAgent()
			more(200)
			h.start()
		case 2:
			h = r.shipper(hosts...)
			h.crash()
			more(200)
			h.start()
		case 3:
			h.crash()
			more(200)
			h.start()
		}
		r.voters(60*time.Second, "a", "b", "c")
		more(300)
	}
	j.end()
	r.allStored(hosts...)
	s := r.shipped(1)
	if n, _ := s.lacking(j); n > 0 || s.chains != 1 {
		t.Errorf("%d of %d writes are not stored, in %d chains; seed %d", n, len(j.acked), s.chains, seed)
	}
	same := 0
	for _, h := range hosts {
		same += s.compare(t, h)
	}
	if same < 1000 {
		t.Errorf("only %d entries were compared", same)
	}
	t.Logf("%d writes, %d entries, %d segments, %d compared", len(j.acked), len(s.entries), s.end.Number, same)
}

// shipper is whose turn it is.
func (r *rig) shipper(hosts ...*host) (found *host) {
	r.t.Helper()
	r.eventually(30*time.Second, "somebody ships", func() error {
		for _, h := range hosts {
			if rep, err := h.report(); err == nil && rep.Log != nil && rep.Log.Shipping {
				found = h
				return nil
			}
		}
		return errors.New("nobody does")
	})
	return found
}

// compare holds what is stored against a member's own log, and says how many
// entries both have. Where the leader sent the member a snapshot in place of
// entries, as it does after a fast writer's long absence, the log goes on after it.
func (s *shipped) compare(t *testing.T, h *host) (n int) {
	t.Helper()
	dir := filepath.Join(h.dataDir(), "etcd", "member", "wal")
	next := uint64(1)
	log, err := raftlog.Open(dir, next)
	must(t, err)
	defer func() { log.Close() }()
	for {
		some, err := log.Read(context.Background(), raftlog.Applied{}, 1<<20)
		if at := snapshotAfter(t, dir, next); errors.Is(err, raftlog.ErrGap) && at > 0 {
			t.Logf("%s got a snapshot of index %d in place of entry %d", h.name, at, next)
			next = at + 1
			log.Close()
			log, err = raftlog.Open(dir, next)
			must(t, err)
			continue
		}
		must(t, err)
		if len(some) == 0 {
			return n
		}
		for _, e := range some {
			next = e.GetIndex() + 1
			if stored := s.entries[e.GetIndex()]; stored != nil {
				if n++; !proto.Equal(stored, e) {
					t.Errorf("%s has %v, stored is %v", h.name, e, stored)
				}
			}
		}
	}
}

// snapshotAfter is the index of the first snapshot in a member's log that holds
// the entry of the given index: 0 when there is none.
func snapshotAfter(t *testing.T, dir string, index uint64) uint64 {
	t.Helper()
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	must(t, err)
	for _, s := range snaps {
		if s.GetIndex() >= index {
			return s.GetIndex()
		}
	}
	return 0
}
