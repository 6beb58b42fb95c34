package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	etcdversion "go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/replay"
	"github.com/quorate/quorate/internal/store"
)

// laid is a store without a cluster: puts from index 11 (revision 2) to 73 (64) in
// segments of nine, one a second; snapshots at revisions 1, 20 and 34.
type laid struct {
	t    *testing.T
	dir  string
	log  bool
	keys []string // of the snapshots' manifests
}

var laidAt = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

type fileSource struct {
	db    string
	state cluster.EtcdState
}

func (s fileSource) Status(context.Context) (cluster.EtcdState, error) { return s.state, nil }
func (s fileSource) KeyCount(context.Context, int64) (int64, error)    { return 1, nil }
func (s fileSource) Snapshot(context.Context) (io.ReadCloser, error) {
	data, err := os.ReadFile(s.db)
	sum := sha256.Sum256(data)
	return io.NopCloser(bytes.NewReader(append(data, sum[:]...))), err
}

func lay(t *testing.T, etcd string, log bool) *laid {
	t.Helper()
	s := &laid{t: t, dir: t.TempDir(), log: log}
	st, err := store.Open(t.Context(), "file://"+s.dir, "test")
	must(t, err)
	codec, err := chain.NewCodec(nil)
	must(t, err)
	db := filepath.Join(t.TempDir(), "db")
	be := backend.NewDefaultBackend(zap.NewNop(), db)
	schema.NewMembershipBackend(zap.NewNop(), be).MustCreateBackendBuckets()
	schema.CreateMetaBucket(be.BatchTx())
	tx := be.BatchTx()
	tx.LockOutsideApply()
	schema.UnsafeUpdateConsistentIndexForce(tx, 10, 1)
	tx.Unlock()
	must(t, be.Close())
	var all []*raftpb.Entry
	for i := range uint64(63) {
		data, err := proto.Marshal(&pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: i + 1}, Put: &pb.PutRequest{Key: []byte("k"), Value: fmt.Append(nil, i)}})
		must(t, err)
		all = append(all, &raftpb.Entry{Term: proto.Uint64(1), Index: proto.Uint64(11 + i), Type: raftpb.EntryNormal.Enum(), Data: data})
	}
	var base cluster.Backup
	for _, revision := range []int64{1, 20, 34} {
		a, err := replay.Open(db)
		must(t, err)
		for _, e := range all[:revision-1] {
			must(t, a.Apply(e))
		}
		must(t, a.Close())
		state := cluster.EtcdState{Version: etcd, Term: 1, Applied: uint64(revision) + 9, Revision: revision}
		b, err := backup.Take(t.Context(), fileSource{db, state}, st, backup.Meta{Cluster: "test", Epoch: 1, By: "a", Now: moment(revision)})
		must(t, err)
		if s.keys = append(s.keys, b.Key); revision == 1 {
			base = b
		}
	}
	end := cluster.LogEnd{Epoch: 1, Chain: 1, Index: 10, Term: 1, Revision: 1, SHA256: strings.Repeat("0", 64)}
	for part := range slices.Chunk(all, 9) {
		if !log {
			break
		}
		h := chain.Header{Cluster: "test", Epoch: 1, Chain: 1, Number: end.Number + 1, Previous: end.SHA256, Etcd: etcd, By: "a",
			From: moment(end.Revision), To: moment(end.Revision + 9), FirstRevision: end.Revision, LastRevision: end.Revision + 9}
		if h.Number == 1 {
			h.Base = base.Key
		}
		object, next, err := codec.Encode(chain.Segment{Header: h, Entries: part})
		must(t, err)
		must(t, st.Create(t.Context(), h.Key(), object))
		end = next
	}
	return s
}

// moment is when a revision was made.
func moment(revision int64) time.Time { return laidAt.Add(time.Duration(revision) * time.Second) }

// file is where an object with that end of its key is.
func (s *laid) file(suffix string) (found string) {
	must(s.t, filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, suffix) {
			found = name
		}
		return err
	}))
	if found == "" {
		s.t.Fatalf("no %s", suffix)
	}
	return found
}

func (s *laid) segment(n int) string { return s.segmentOf("0000000001/000001", n) }

func (s *laid) segmentOf(chain string, n int) string {
	return s.file(fmt.Sprintf("%s/%010d.seg", chain, n))
}

func (s *laid) object(i int) string {
	return s.file(strings.TrimSuffix(s.keys[i], ".json") + ".db.zst")
}

// flip changes a bit of a byte, counted from the end when it is below 0.
func (s *laid) flip(name string, at int) {
	data, err := os.ReadFile(name)
	must(s.t, err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	must(s.t, os.WriteFile(name, data, 0o600))
}

func gone(t *testing.T, name string) { t.Helper(); must(t, os.Remove(name)) }

// restore is the exit code of one, and what it says.
func (s *laid) restore(args ...string) (out, errOut string, code int) {
	return s.run(append([]string{"restore"}, args...)...)
}

// run is a command on the store.
func (s *laid) run(args ...string) (out, errOut string, code int) {
	return (&rig{t: s.t}).quorate(append(args, "--store", "file://"+s.dir, "--cluster", "test")...)
}

// move makes the segments from a number on a chain of their own.
func (s *laid) move(from uint64, epoch cluster.Epoch, to int) {
	st, err := store.Open(s.t.Context(), "file://"+s.dir, "test")
	must(s.t, err)
	defer st.Close()
	codec, err := chain.NewCodec(nil)
	must(s.t, err)
	previous := strings.Repeat("1", 64)
	for n := from; n <= 7; n++ {
		old := chain.Key(1, 1, n)
		object, err := st.Read(s.t.Context(), old)
		must(s.t, err)
		one, _, err := codec.Decode(object)
		must(s.t, err)
		one.Epoch, one.Chain, one.Number, one.Previous, one.Base = epoch, to, n-from+1, previous, ""
		if n == from {
			one.Base = "backups/0000000001/20260310T120000Z-9-0000000000000000.json"
		}
		object, end, err := codec.Encode(one)
		must(s.t, err)
		must(s.t, st.Create(s.t.Context(), one.Key(), object))
		must(s.t, st.Delete(s.t.Context(), old))
		previous = end.SHA256
	}
}

// rename says in a manifest that it is of another cluster.
func (s *laid) rename(i int) {
	name := s.file(s.keys[i])
	data, err := os.ReadFile(name)
	must(s.t, err)
	must(s.t, os.WriteFile(name, bytes.Replace(data, []byte(`"test"`), []byte(`"other"`), 1), 0o600))
}

// When a run refuses: the dry run does, too; or only if it reads every byte; or not.
const (
	atOnce = iota
	onVerify
	onRestore
)

// TestRestoreRefuses: what a restore would lose in silence it refuses, and its dry
// run does; what is surely whole is restored.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	damaged4 := func(s *laid) { s.flip(s.segment(4), 20) }
	damaged6 := func(s *laid) { s.flip(s.segment(6), -9) }
	missing := func(all ...int) func(*laid) {
		return func(s *laid) {
			for _, n := range all {
				gone(s.t, s.segment(n))
			}
		}
	}
	both := func(all ...func(*laid)) func(*laid) {
		return func(s *laid) {
			for _, f := range all {
				f(s)
			}
		}
	}
	unreadable := func(s *laid) { must(s.t, os.Truncate(s.file(s.keys[2]), 20)) }
	unpackable := func(s *laid) { s.flip(s.object(2), 300) }
	noObject := func(s *laid) { gone(s.t, s.object(2)) }
	noManifest := func(s *laid) { gone(s.t, s.file(s.keys[2])) }
	moved := func(epoch cluster.Epoch, to int) func(*laid) { return func(s *laid) { s.move(5, epoch, to) } }
	noSecond := both(noManifest, noObject, moved(1, 2))
	foreign := func(s *laid) { s.rename(2) }
	older := "3.6.14"
	for name, tt := range map[string]struct {
		spoil   func(*laid)
		at      string
		noLog   bool
		etcd    string
		want    string // of the output, when it restores, or of the refusal
		warns   string
		refused bool
		when    int
	}{
		"whole":                               {want: "restored revision 64 "},
		"a time behind a missing segment":     {spoil: missing(4), at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=43"},
		"a time behind a damaged segment":     {spoil: damaged4, at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=43"},
		"the end, a damaged segment":          {spoil: damaged4, refused: true, want: "say --at index=43"},
		"as advised":                          {spoil: missing(4), at: "index=43", want: "restored revision 34 "},
		"as advised, the snapshot":            {spoil: missing(4), at: moment(34).Format(time.RFC3339), want: "restored revision 34 "},
		"a time behind, part of the log":      {spoil: missing(6), at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=55"},
		"a time before a missing segment":     {spoil: missing(6), at: moment(40).Format(time.RFC3339), want: "restored revision 37 "},
		"a revision behind a missing segment": {spoil: missing(6), at: "60", refused: true, want: "revision 60 may lie behind that; to restore what is before that, say --at index=55"},
		"a revision behind, no log":           {spoil: missing(4), at: "60", refused: true, want: "say --at index=43"},
		"a revision before":                   {spoil: missing(6), at: "40", want: "restored revision 40 "},
		"a revision behind the end":           {at: "999", refused: true, want: "at: the log ends at index 73 and revision 64"},
		"a revision a little behind the end":  {at: "70", refused: true, when: onRestore, want: "at: "},
		"a body, unseen by its header":        {spoil: damaged6, refused: true, want: "--at index="},
		"another etcd's log":                  {etcd: older, refused: true, want: "segment 4: the log is of another etcd"},
		"another etcd's snapshot":             {etcd: older, noLog: true, want: "restored revision 34 "},
		"a manifest, no log":                  {spoil: unreadable, noLog: true, refused: true, want: "say --at index=29"},
		"a manifest, and a log":               {spoil: unreadable, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: backups/"},
		"a manifest, and a cut before it":     {spoil: unreadable, noLog: true, at: "20", want: "restored revision 20 "},
		"a manifest, and a time behind it":    {spoil: unreadable, noLog: true, at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=29"},
		"a snapshot, no log":                  {spoil: unpackable, noLog: true, refused: true, when: onVerify, want: "say --at index=29"},
		"a snapshot, and a log":               {spoil: unpackable, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: "},
		"a snapshot, and a broken log":        {spoil: both(unpackable, missing(3)), refused: true, when: onVerify, want: "say --at index="},
		"an object is gone, no log":           {spoil: noObject, noLog: true, refused: true, want: "say --at index=29"},
		"an object is gone, and a log":        {spoil: noObject, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: backups/"},

		// What is before the snapshot is needed by an older one alone.
		"a missing segment before the snapshot": {spoil: missing(3), want: "restored revision 64 "},
		"missing ones, before and behind":       {spoil: missing(1, 3, 6), refused: true, want: "segment 6 of chain 1 is missing; to restore what is before that, say --at index=55"},
		"missing ones, only one of them needed": {spoil: missing(2, 4), refused: true, want: "segment 4 of chain 1 is missing; to restore what is before that, say --at index=43"},
		"a revision in the missing segment":     {spoil: missing(3), at: "25", refused: true, want: "segment 3 of chain 1 is missing"},

		// Nothing lists what is gone, so what is left beside must tell.
		"a manifest is gone, no log":                {spoil: noManifest, noLog: true, refused: true, want: "say --at index=29", warns: "its data is there, and its manifest is not"},
		"a manifest is gone, as advised":            {spoil: noManifest, noLog: true, at: "index=29", want: "restored revision 20 "},
		"a manifest is gone, and a log":             {spoil: noManifest, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: backups/"},
		"a manifest is gone, and a time before":     {spoil: noManifest, noLog: true, at: moment(33).Format(time.RFC3339), want: "restored revision 20 "},
		"a snapshot is gone, and a chain behind it": {spoil: noSecond, refused: true, want: "say --at index=46", warns: "segments 1 to 3 of chain 2 of epoch 1 begin at index 47"},
		"that chain, as advised":                    {spoil: noSecond, at: "index=46", want: "restored revision 37 "},
		"that chain, a time before it":              {spoil: noSecond, at: moment(30).Format(time.RFC3339), want: "restored revision 28 "},
		"that chain, a time behind it":              {spoil: noSecond, at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=46"},
		"the log is gone right behind the snapshot": {spoil: missing(1, 2, 3, 4), refused: true, want: "say --at index=43", warns: "segments 5 to 7 of chain 1 of epoch 1 begin at index 47"},
		"a log of an epoch without a snapshot":      {spoil: moved(2, 1), refused: true, want: "say --at index=46", warns: "chain 1 of epoch 2"},
		"that epoch, and its first is bad":          {spoil: both(moved(2, 1), func(s *laid) { s.flip(s.segmentOf("0000000002/000001", 1), 20) }), refused: true, want: "say --at index=46", warns: "with a bad one"},
		"another cluster's manifest, no log":        {spoil: foreign, noLog: true, refused: true, want: "say --at index=29", warns: `it is of cluster "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := etcdversion.Version
			if tt.etcd != "" {
				etcd = tt.etcd
			}
			s := lay(t, etcd, !tt.noLog)
			if tt.spoil != nil {
				tt.spoil(s)
			}
			var args []string
			if tt.at != "" {
				args = []string{"--at", tt.at}
			}
			code := 0
			if tt.refused {
				code = 1
			}
			for when, dry := range [][]string{atOnce: {"--dry-run"}, onVerify: {"--dry-run", "--verify"}} {
				out, errOut, got := s.restore(append(dry, args...)...)
				if when >= tt.when && (got != code || tt.refused && !strings.Contains(errOut, tt.want)) || !strings.Contains(out, "loses") {
					t.Errorf("%v: exit code %d\n%s%s", dry, got, out, errOut)
				}
			}
			out, errOut, got := s.restore(append(args, "--to", filepath.Join(t.TempDir(), "made"))...)
			if got != code || !strings.Contains(out+errOut, tt.want) || !strings.Contains(errOut, tt.warns) {
				t.Errorf("exit code %d, want %d and %q, %q\n%s%s", got, code, tt.want, tt.warns, out, errOut)
			}
		})
	}
}
