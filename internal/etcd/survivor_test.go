package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/cluster"
)

// Three members under load lose their power. The one with the longest log
// seeds a cluster of one: with ForceCommit every entry of that log is applied,
// so every acknowledged write is there. Without it the same copy may lack some.
func TestTheSurvivorKeepsEveryAcknowledgedWrite(t *testing.T) {
	members := foundThree(t)
	acknowledged := writeUntilCrash(t, members, 1000)

	survivor := longestLog(members)
	disk := survivor.disk()
	if disk.State != cluster.DiskData || disk.Index == 0 {
		t.Fatalf("the survivor's disk: %+v", disk)
	}
	with, without := copyOf(t, survivor, "with", "127.0.0.75"), copyOf(t, survivor, "without", "127.0.0.76")
	must(t, ForceCommit(with.cfg.DataDir))
	must(t, ForceCommit(with.cfg.DataDir)) // twice is once
	end := (&walReader{dir: walDir(with.cfg.DataDir)})
	if got, err := end.read(); err != nil || got.commit != disk.Index || got.last() != (entryID{disk.Term, disk.Index}) {
		t.Fatalf("after ForceCommit: %+v, %v; want everything up to %d committed", got, err, disk.Index)
	}

	forced, plain := startAlone(t, with), startAlone(t, without)
	lost, lostPlain := missing(t, with, acknowledged), missing(t, without, acknowledged)
	t.Logf("log up to %d; with ForceCommit %d of %d acknowledged writes lost, revision %d; without %d lost, revision %d",
		disk.Index, len(lost), len(acknowledged), forced.Revision, len(lostPlain), plain.Revision)
	if len(lost) > 0 {
		t.Errorf("%d acknowledged writes are lost, such as %s", len(lost), lost[0])
	}
	if forced.Applied < disk.Index || forced.Revision < plain.Revision {
		t.Errorf("applied %d of %d; revision %d, without ForceCommit %d", forced.Applied, disk.Index, forced.Revision, plain.Revision)
	}
	if list, _, err := with.agent.Members(limit(t)); err != nil || len(list) != 1 || list[0].ID != disk.MemberID {
		t.Errorf("the new cluster of one: %v, %v", list, err)
	}
}

// The file's commit index lags most where nothing else is written: entries
// that only the log holds are applied after ForceCommit and gone without it.
func TestForceCommitAppliesWhatTheFileCallsUncommitted(t *testing.T) {
	m := newMember(t, "a", "127.0.0.77")
	m.found()
	m.put("key", "value")
	m.stop()
	before := m.disk()
	appendUncommitted(t, walDir(m.cfg.DataDir), before, 5)
	if now := m.disk(); now.Index != before.Index+5 || now.Term != before.Term {
		t.Fatalf("the disk after five more entries: %+v; before %+v", now, before)
	}
	with, without := copyOf(t, m, "with", "127.0.0.78"), copyOf(t, m, "without", "127.0.0.79")
	tear(t, walDir(with.cfg.DataDir)) // a power cut tears the end, too
	must(t, ForceCommit(with.cfg.DataDir))
	startAlone(t, with)
	startAlone(t, without)
	if kept := logHolds(t, with, before.Index+5); kept != 5 {
		t.Errorf("with ForceCommit %d of 5 entries are kept", kept)
	}
	if kept := logHolds(t, without, before.Index+5); kept != 0 {
		t.Errorf("without ForceCommit %d of 5 entries are kept: then why have it?", kept)
	}
}

func TestForceCommitOfNothing(t *testing.T) {
	if err := ForceCommit(t.TempDir()); err == nil {
		t.Error("no log, and no error")
	}
}

func TestCopyDir(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	write(t, filepath.Join(src, "a"), "one")
	write(t, filepath.Join(src, "deep", "er", "b"), strings.Repeat("two", 100_000))
	write(t, filepath.Join(dst+".tmp", "left", "over"), "by a crash")
	must(t, CopyDir(dst, src))
	for _, path := range []string{"a", "deep/er/b"} {
		from, err := os.ReadFile(filepath.Join(src, path))
		to, toErr := os.ReadFile(filepath.Join(dst, path))
		if err != nil || toErr != nil || !slices.Equal(from, to) {
			t.Errorf("%s differs: %v, %v", path, err, toErr)
		}
	}
	mustExist(t, filepath.Join(dst, "left"), false)
	mustExist(t, dst+".tmp", false)
	if err := CopyDir(dst, src); !errors.Is(err, fs.ErrExist) {
		t.Errorf("copying over a directory: %v", err)
	}
	if err := CopyDir(dst+"2", src+"2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copying nothing: %v", err)
	}
	mustExist(t, dst+"2", false)
}

func foundThree(t *testing.T) []*member {
	t.Helper()
	var members []*member
	var initial []string
	for i, name := range []string{"a", "b", "c"} {
		m := newMember(t, name, fmt.Sprintf("127.0.0.%d", 72+i))
		members, initial = append(members, m), append(initial, m.initialCluster())
	}
	for _, m := range members {
		m.start(Start{State: StateNew, InitialCluster: strings.Join(initial, ","), Token: "three"})
	}
	for _, m := range members {
		m.waitHealthy()
	}
	return members
}

// writeUntilCrash writes through all members until enough is acknowledged,
// kills all three amid the writing, and returns what was acknowledged.
func writeUntilCrash(t *testing.T, members []*member, enough int) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	acks, full := make(chan string), make(chan struct{})
	var writers sync.WaitGroup
	for i := range 12 {
		etcd, err := members[i%len(members)].agent.open(limit(t))
		must(t, err)
		writers.Go(func() { writeKeys(ctx, etcd, fmt.Sprintf("w%d", i), acks) })
	}
	var acknowledged []string
	var collector sync.WaitGroup
	collector.Go(func() {
		for key := range acks {
			if acknowledged = append(acknowledged, key); len(acknowledged) == enough {
				close(full)
			}
		}
	})
	<-full
	for _, m := range members {
		m.crash()
	}
	cancel()
	writers.Wait()
	close(acks)
	collector.Wait()
	return acknowledged
}

func writeKeys(ctx context.Context, etcd *clientv3.Client, writer string, acks chan<- string) {
	value := strings.Repeat("v", 512)
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("%s-%06d", writer, i)
		if _, err := etcd.Put(ctx, key, value); err == nil {
			acks <- key
		}
	}
}

func longestLog(members []*member) *member {
	return slices.MaxFunc(members, func(a, b *member) int {
		x, y := a.disk(), b.disk()
		return slices.Compare([]uint64{x.Term, x.Index}, []uint64{y.Term, y.Index})
	})
}

// copyOf is a member at another address on a copy of m's data.
func copyOf(t *testing.T, m *member, name, host string) *member {
	t.Helper()
	c := newMember(t, name, host)
	must(t, CopyDir(c.cfg.DataDir, m.cfg.DataDir))
	return c
}

func startAlone(t *testing.T, m *member) cluster.EtcdState {
	t.Helper()
	m.start(Start{ForceNewCluster: true})
	m.waitHealthy()
	return m.status()
}

func missing(t *testing.T, m *member, keys []string) []string {
	t.Helper()
	etcd, err := m.agent.open(limit(t))
	must(t, err)
	r, err := etcd.Get(limit(t), "\x00", clientv3.WithFromKey(), clientv3.WithKeysOnly())
	must(t, err)
	have := map[string]bool{}
	for _, kv := range r.Kvs {
		have[string(kv.Key)] = true
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return have[k] })
}

// appendUncommitted adds entries that do nothing and that no hard state calls
// committed. Their data is a mark to find them by.
func appendUncommitted(t *testing.T, dir string, disk cluster.Disk, n int) {
	t.Helper()
	from, err := lastSnapshot(dir)
	must(t, err)
	w, _, _, err := openLogForWriting(dir, from)
	must(t, err)
	must(t, w.Save(nil, markedEntries(t, disk, n)))
	must(t, w.Close())
}

// tear leaves half a record behind the log's end.
func tear(t *testing.T, dir string) {
	t.Helper()
	r := walReader{dir: dir}
	_, err := r.read()
	must(t, err)
	overwrite(t, filepath.Join(dir, r.at.segment), r.at.offset, []byte{0, 4, 0, 0, 0, 0, 0, 0, 1, 2, 3})
}

// logHolds counts the marked entries that the member has kept, in a log in
// which entries cut off are written over.
func logHolds(t *testing.T, m *member, upTo uint64) int {
	t.Helper()
	dir := walDir(m.cfg.DataDir)
	from, err := lastSnapshot(dir)
	must(t, err)
	w, err := wal.OpenForRead(nil, dir, from)
	must(t, err)
	_, _, entries, err := w.ReadAll()
	must(t, err)
	kept := 0
	for _, e := range entries {
		if e.GetIndex() <= upTo && slices.Equal(e.Data, markData(t)) {
			kept++
		}
	}
	return kept
}

// markData is a request without effect that etcd's apply loop takes: a read.
func markData(t *testing.T) []byte {
	t.Helper()
	b, err := proto.Marshal(&etcdserverpb.InternalRaftRequest{
		Header: &etcdserverpb.RequestHeader{ID: 1},
		Range:  &etcdserverpb.RangeRequest{Key: []byte("mark"), CountOnly: true},
	})
	must(t, err)
	return b
}

func markedEntries(t *testing.T, disk cluster.Disk, n int) []*raftpb.Entry {
	t.Helper()
	var entries []*raftpb.Entry
	for i := range n {
		entries = append(entries, &raftpb.Entry{Term: &disk.Term, Index: ptr(disk.Index + uint64(i) + 1), Data: markData(t)})
	}
	return entries
}
