package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
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

func (s *laid) segment(n int) string { return s.file(fmt.Sprintf("%010d.seg", n)) }

func (s *laid) object(i int) string {
	return s.file(strings.TrimSuffix(s.keys[i], ".json") + ".db.zst")
}

func (s *laid) flip(name string, at int) {
	data, err := os.ReadFile(name)
	must(s.t, err)
	data[at] ^= 1
	must(s.t, os.WriteFile(name, data, 0o600))
}

func gone(t *testing.T, name string) { t.Helper(); must(t, os.Remove(name)) }

// restore is the exit code of one, and what it says.
func (s *laid) restore(args ...string) (out, errOut string, code int) {
	var o, e bytes.Buffer
	cmd := exec.Command(program, append([]string{"restore", "--store", "file://" + s.dir, "--cluster", "test"}, args...)...)
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run()
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// TestRestoreRefuses: what a restore would lose in silence it refuses, and its dry
// run does; what is surely whole is restored.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	damaged4 := func(s *laid) { s.flip(s.segment(4), 20) }
	missing := func(n int) func(*laid) { return func(s *laid) { gone(s.t, s.segment(n)) } }
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
	older := "3.6.14"
	for name, tt := range map[string]struct {
		spoil   func(*laid)
		at      string
		noLog   bool
		etcd    string
		want    string // of the output, when it restores, or of the refusal
		warns   string
		refused bool
		later   bool // only reading it tells: the dry run does not refuse
	}{
		"whole":                               {want: "restored revision 64 "},
		"a time behind a missing segment":     {spoil: missing(3), at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=43"},
		"a time behind a damaged segment":     {spoil: damaged4, at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=43"},
		"the end, a damaged segment":          {spoil: damaged4, refused: true, want: "say --at index=43"},
		"as advised":                          {spoil: missing(3), at: "index=43", want: "restored revision 34 "},
		"as advised, the snapshot":            {spoil: missing(3), at: moment(34).Format(time.RFC3339), want: "restored revision 34 "},
		"a time behind, part of the log":      {spoil: missing(6), at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=55"},
		"a time before a missing segment":     {spoil: missing(6), at: moment(40).Format(time.RFC3339), want: "restored revision 37 "},
		"a revision behind a missing segment": {spoil: missing(6), at: "60", refused: true, want: "revision 60 may lie behind that; to restore what is before that, say --at index=55"},
		"a revision behind, no log":           {spoil: missing(3), at: "60", refused: true, want: "say --at index=43"},
		"a revision before":                   {spoil: missing(6), at: "40", want: "restored revision 40 "},
		"a revision behind the end":           {at: "999", refused: true, want: "at: the log ends at index 73 and revision 64"},
		"a revision a little behind the end":  {at: "70", refused: true, later: true, want: "at: "},
		"another etcd's log":                  {etcd: older, refused: true, want: "segment 4: the log is of another etcd"},
		"another etcd's snapshot":             {etcd: older, noLog: true, want: "restored revision 34 "},
		"a manifest, no log":                  {spoil: unreadable, noLog: true, refused: true, want: "say --at index=29"},
		"a manifest, and a log":               {spoil: unreadable, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: backups/"},
		"a manifest, and a cut before it":     {spoil: unreadable, noLog: true, at: "20", want: "restored revision 20 "},
		"a manifest, and a time behind it":    {spoil: unreadable, noLog: true, at: "2027-01-01T00:00:00Z", refused: true, want: "say --at index=29"},
		"a snapshot, no log":                  {spoil: unpackable, noLog: true, refused: true, later: true, want: "say --at index=29"},
		"a snapshot, and a log":               {spoil: unpackable, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: "},
		"a snapshot, and a broken log":        {spoil: both(unpackable, missing(2)), refused: true, want: "say --at index="},
		"an object is gone, no log":           {spoil: noObject, noLog: true, refused: true, want: "say --at index=29"},
		"an object is gone, and a log":        {spoil: noObject, want: "restored revision 64 ", warns: "WARNING: a newer backup is passed over: backups/"},
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
			out, errOut, got := s.restore(append(args, "--dry-run")...)
			if !tt.later && got != code || !strings.Contains(out, "loses") || tt.refused && !tt.later && !strings.Contains(errOut, tt.want) {
				t.Errorf("--dry-run: exit code %d\n%s%s", got, out, errOut)
			}
			out, errOut, got = s.restore(append(args, "--to", filepath.Join(t.TempDir(), "made"))...)
			if got != code || !strings.Contains(out+errOut, tt.want) || !strings.Contains(errOut, tt.warns) {
				t.Errorf("exit code %d, want %d and %q, %q\n%s%s", got, code, tt.want, tt.warns, out, errOut)
			}
		})
	}
}
