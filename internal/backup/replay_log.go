package backup

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

const (
	// silentPeer is a socket that nobody ever listens at.
	silentPeer = "unix://localhost:9"
	// walBatch is how many bytes of entries are saved at a time: a log is cut into
	// files only in between.
	walBatch = 4 << 20
	// appliedMetric tells the last entry applied, commitMetric how often the database
	// was committed.
	appliedMetric = "etcd_server_proposals_applied_total "
	commitMetric  = "etcd_disk_backend_commit_duration_seconds_count "
	// commitLooks is how often a commit is looked for: etcd commits ten times a
	// second what there is to commit.
	commitLooks = 25
	// replayRuns is how often an etcd may be stopped before its last commit.
	replayRuns = 4
)

// IndexOf is the last raft entry that is in the database of a stopped member.
func IndexOf(db string) (index uint64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("opening the database: %w: etcd gave up: %v", ErrDamaged, p)
		}
	}()
	b, err := bbolt.Open(db, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("opening the database: %w", err)
	}
	defer b.Close()
	err = b.View(func(tx *bbolt.Tx) error {
		index, err = consistentIndex(tx)
		return err
	})
	return index, err
}

// Reapply has another etcd apply entries to a database, which the first of them
// follows. None may be of a kind that changes the members. The etcd runs alone,
// as one of two members whose other one never answers: so it applies what is
// committed and no more, elects nobody, and lets no lease run out. An error
// leaves the database unfit for anything. It works in a directory beside it, which
// is removed; a crash leaves that.
func Reapply(ctx context.Context, etcd []string, db string, entries []*raftpb.Entry) (err error) {
	scratch := db + ".replay"
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(scratch))
	}()
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return err
	}
	data := filepath.Join(scratch, "etcd")
	members := Target{DataDir: data, Name: "seed", PeerURL: peerURL, InitialCluster: "seed=" + peerURL + ",silent=" + silentPeer, Token: "replay"}
	if err := plant(members); err != nil {
		return fmt.Errorf("making a data directory to replay in: %w", err)
	}
	if err := graft(db, members); err != nil {
		return fmt.Errorf("making a data directory to replay in: %w", err)
	}
	tail, err := wordless(entries[len(entries)-1])
	if err != nil {
		return err
	}
	last, err := appendLog(filepath.Join(data, "member", "wal"), slices.Concat(entries, tail))
	if err != nil {
		return fmt.Errorf("writing a log to replay: %w", err)
	}
	if err := applied(ctx, etcd, data, filepath.Join(scratch, "etcd.log"), last); err != nil {
		return err
	}
	end := entries[len(entries)-1]
	if err := setIndex(dbOf(data), end.GetIndex(), end.GetTerm()); err != nil {
		return err
	}
	return os.Rename(dbOf(data), db)
}

// appendLog writes entries behind a planted log, renumbered, and is the index of
// the last.
func appendLog(dir string, entries []*raftpb.Entry) (last uint64, err error) {
	lg := zap.NewNop()
	snapshots, err := wal.ValidSnapshotEntries(lg, dir)
	if err != nil {
		return 0, err
	}
	planted := snapshots[len(snapshots)-1]
	w, err := wal.Open(lg, dir, &walpb.Snapshot{Index: planted.Index, Term: planted.Term})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	w.SetUnsafeNoFsync() // a crash leaves a directory to throw away
	if _, _, _, err := w.ReadAll(); err != nil {
		return 0, err
	}
	last = planted.GetIndex() + uint64(len(entries))
	state := &raftpb.HardState{Term: new(entries[len(entries)-1].GetTerm()), Vote: new(uint64(0)), Commit: &last}
	var some []*raftpb.Entry
	size := 0
	for i, e := range entries {
		some = append(some, &raftpb.Entry{Term: e.Term, Index: new(planted.GetIndex() + 1 + uint64(i)), Type: e.Type, Data: e.Data})
		if size += len(e.Data); size < walBatch && i < len(entries)-1 {
			continue
		}
		if err := w.Save(state, some); err != nil {
			return 0, err
		}
		some, size = nil, 0
	}
	return last, nil
}

// setIndex says up to which entry a database is.
func setIndex(db string, index, term uint64) error {
	if err := withEmptyFreelist(db); err != nil {
		return err
	}
	b, err := bbolt.Open(db, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	if err != nil {
		return err
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(schema.Meta.Name())
		return errors.Join(meta.Put(schema.MetaConsistentIndexKeyName, binary.BigEndian.AppendUint64(nil, index)),
			meta.Put(schema.MetaTermKeyName, binary.BigEndian.AppendUint64(nil, term)))
	})
	return errors.Join(err, b.Close())
}

// wordless are entries behind the last that write and leave nothing: an alarm of
// nobody is raised and ended. Without a write behind it, etcd may not commit that
// it has passed the last entry.
func wordless(last *raftpb.Entry) (tail []*raftpb.Entry, err error) {
	nobody := rand.Uint64()
	for _, do := range []pb.AlarmRequest_AlarmAction{pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_DEACTIVATE} {
		data, err := proto.Marshal(&pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1},
			Alarm: &pb.AlarmRequest{Action: do, MemberID: nobody, Alarm: pb.AlarmType_NOSPACE}})
		if err != nil {
			return nil, err
		}
		tail = append(tail, &raftpb.Entry{Term: last.Term, Index: new(last.GetIndex() + 1), Type: raftpb.EntryNormal.Enum(), Data: data})
	}
	return tail, nil
}

// applied runs etcd on a planted directory until its database holds an entry. One
// that has no leader does not close its database when it is told to end, and so
// what counts is what it has committed; a run goes on where the last one ended.
func applied(ctx context.Context, etcd []string, dataDir, logFile string, last uint64) (err error) {
	for range replayRuns {
		err := privately(ctx, etcd, silentFlags(dataDir), logFile, func(p process, at string) error {
			return p.untilCommitted(ctx, overSocket(socket(at, metricsURL)), last)
		})
		if err != nil {
			return err
		}
		if err = holds(dbOf(dataDir), last); err == nil {
			return nil
		}
	}
	return err
}

// untilCommitted waits until an entry is applied, and then for a commit, or as
// long as one takes.
func (p process) untilCommitted(ctx context.Context, client *http.Client, last uint64) error {
	var before uint64
	err := p.until(ctx, "it had applied all", func() bool {
		m, err := metrics(ctx, client, appliedMetric, commitMetric)
		before = m[1]
		return err == nil && m[0] >= last
	})
	if err != nil {
		return err
	}
	looks := 0
	return p.until(ctx, "it had committed all", func() bool {
		looks++
		m, err := metrics(ctx, client, appliedMetric, commitMetric)
		return err == nil && m[1] > before || looks > commitLooks
	})
}

// silentFlags are understood by every etcd since 3.5. The times are etcd's usual
// ones, for the least time of a lease hangs on them; snapshots of its own would
// only cost time.
func silentFlags(dataDir string) []string {
	return []string{
		"--name=seed",
		"--data-dir=" + dataDir,
		"--listen-client-urls=" + clientURL,
		"--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=seed=" + peerURL,
		"--listen-metrics-urls=" + metricsURL,
		"--snapshot-count=1000000000",
		"--unsafe-no-fsync",
		"--quota-backend-bytes=-1",
		"--log-level=warn",
	}
}

// metrics are whole numbers out of etcd's metrics, by the beginnings of their lines.
func metrics(ctx context.Context, client *http.Client, names ...string) ([]uint64, error) {
	all := make([]uint64, len(names))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/metrics", nil)
	if err != nil {
		return all, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return all, err
	}
	defer resp.Body.Close()
	found := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		for i, name := range names {
			if text, ok := strings.CutPrefix(lines.Text(), name); ok {
				v, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return all, err
				}
				all[i], found = uint64(v), found+1
			}
		}
	}
	if found < len(names) {
		err = fmt.Errorf("etcd tells %d of %q", found, names)
	}
	return all, errors.Join(err, lines.Err())
}
