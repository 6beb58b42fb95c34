package backup

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

const (
	// seedPeer and silentPeer are sockets in the directory of a private etcd. Nobody
	// is ever at the second.
	seedPeer, silentPeer = "unix://p", "unix://nobody"
	// walBatch is how many bytes of entries are saved at a time: a log is cut into
	// files only in between.
	walBatch = 4 << 20
	// appliedMetric tells the last entry applied.
	appliedMetric = "etcd_server_proposals_applied_total "
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
	members := Target{DataDir: data, Name: "seed", PeerURL: seedPeer, InitialCluster: "seed=" + seedPeer + ",silent=" + silentPeer, Token: "replay"}
	if err := plant(members); err != nil {
		return fmt.Errorf("making a data directory to replay in: %w", err)
	}
	if err := graft(db, members); err != nil {
		return fmt.Errorf("making a data directory to replay in: %w", err)
	}
	last, err := appendLog(filepath.Join(data, "member", "wal"), entries)
	if err != nil {
		return fmt.Errorf("writing a log to replay: %w", err)
	}
	if err := replayTo(ctx, etcd, data, filepath.Join(scratch, "etcd.log"), last); err != nil {
		return err
	}
	if err := holds(dbOf(data), last); err != nil {
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

// replayTo runs etcd on a planted directory until it has applied an entry.
func replayTo(ctx context.Context, etcd []string, dataDir, logFile string, last uint64) error {
	return privately(ctx, etcd, logFile, func(sockets string) ([]string, func(context.Context, process) error) {
		return silentFlags(dataDir, sockets), func(ctx context.Context, p process) error {
			client := overSocket(filepath.Join(sockets, "m"))
			return p.until(ctx, "it had applied all", func() bool {
				applied, err := metric(ctx, client, appliedMetric)
				return err == nil && applied >= last
			})
		}
	})
}

// silentFlags are understood by every etcd since 3.5. The times are etcd's usual
// ones, for the least time of a lease hangs on them; snapshots of its own would
// only cost time.
func silentFlags(dataDir, sockets string) []string {
	return []string{
		"--name=seed",
		"--data-dir=" + dataDir,
		"--listen-client-urls=unix://" + filepath.Join(sockets, "c"),
		"--advertise-client-urls=unix://" + filepath.Join(sockets, "c"),
		"--listen-peer-urls=" + seedPeer, // in its working directory, which is sockets
		"--initial-advertise-peer-urls=" + seedPeer,
		"--initial-cluster=seed=" + seedPeer,
		"--listen-metrics-urls=unix://m",
		"--snapshot-count=1000000000",
		"--unsafe-no-fsync",
		"--quota-backend-bytes=-1",
		"--log-level=warn",
	}
}

// metric is a whole number out of etcd's metrics.
func metric(ctx context.Context, client *http.Client, name string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name); ok {
			v, err := strconv.ParseFloat(text, 64)
			return uint64(v), err
		}
	}
	return 0, fmt.Errorf("etcd has no metric %s: %w", name, lines.Err())
}
