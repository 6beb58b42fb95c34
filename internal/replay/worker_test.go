package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

// written is a source that no etcd has made: a database, a log of n puts behind
// it, and poison behind that. Last is the last good index.
func written(t *testing.T, n int, poison ...[]byte) (arc *archive, last uint64) {
	t.Helper()
	l := &load{etcd: "3.7.3", db: emptyDB(t)}
	a, err := Open(l.db)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 + n {
		e := entryAt(uint64(11+i), put(t))
		if l.entries = append(l.entries, e); i < 20 {
			err = errors.Join(err, a.Apply(e))
		}
	}
	if err := errors.Join(err, a.Close()); err != nil {
		t.Fatal(err)
	}
	arc = newArchive(t, l)
	end := arc.segments[len(arc.segments)-1]
	last = end.Last
	_, at, err := arc.src.Log.Header(t.Context(), 1, 1, end.Number)
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range poison {
		arc.add(t, &at, entryAt(last+1+uint64(i), data))
	}
	return arc, last
}

// add stores a segment of one entry behind the others.
func (arc *archive) add(t *testing.T, at *cluster.LogEnd, e *raftpb.Entry) {
	t.Helper()
	s := chain.Segment{Entries: []*raftpb.Entry{e}, Header: chain.Header{Cluster: "c", Epoch: 1, Chain: 1, Number: at.Number + 1, Previous: at.SHA256,
		Etcd: "3.7.3", By: "a", FirstRevision: at.Revision, LastRevision: at.Revision, From: at.At, To: at.At.Add(time.Second)}}
	object, next, err := arc.src.Log.Codec.Encode(s)
	if err == nil {
		err = arc.st.Create(t.Context(), s.Key(), object)
	}
	if err != nil {
		t.Fatal(err)
	}
	*at = next
}

// TestPoison: an entry that makes etcd panic is one error that names the last good
// index, the chain and the segment, and blames the log; we live, nothing is left,
// and what is before it can be restored.
func TestPoison(t *testing.T) {
	arc, last := written(t, 3000, marshal(t, &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}})) // for nothing
	dir := t.TempDir()
	into := newNode(t, "3", filepath.Join(dir, "m")).target(0)
	r, err := arc.build(t, Cut{}, into)
	want := fmt.Sprintf("the log cannot be replayed after index %d: chain 1, segment %d: applying entry %d: ", last, len(arc.segments)+1, last+1)
	if !errors.Is(err, ErrUnreplayable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("built %+v, %v; want %q", r, err, want)
	}
	wantEmpty(t, dir)
	if r, err := arc.build(t, Cut{Index: last}, into); err != nil || r.Index != last {
		t.Errorf("up to the poison: %+v, %v", r, err)
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestWorkerEnds: a worker that is killed in the midst, as for want of memory, or
// that crashes, is one error with the place; and so is the end of the context.
func TestWorkerEnds(t *testing.T) {
	arc, _ := written(t, 40_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, tt := range map[string]struct {
		do    func(pid int)
		want  string
		blame bool
	}{
		"killed":    {func(pid int) { syscall.Kill(pid, syscall.SIGKILL) }, "was killed; had it memory enough?", false},
		"crashed":   {func(pid int) { syscall.Kill(pid, syscall.SIGABRT) }, "ended with exit status 2: SIGABRT: abort", true},
		"cancelled": {func(int) { cancel() }, context.Canceled.Error(), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plans, err := Survey(t.Context(), arc.src, Cut{})
			if err != nil {
				t.Fatal(err)
			}
			under, worker := t.Context(), 0
			if name == "cancelled" {
				under = ctx
			}
			r, err := Build(under, arc.src, plans, func(what string, done, _ int64) {
				if what == "log" && done == 5 {
					worker = children(t)[0]
					tt.do(worker)
				}
			}, newNode(t, "3", filepath.Join(dir, "m")).target(0))
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrUnreplayable) != tt.blame || strings.Contains(err.Error(), "\n") {
				t.Errorf("built %+v: %v", r, err)
			}
			if name != "cancelled" && !strings.Contains(err.Error(), "the log cannot be replayed after index ") {
				t.Errorf("no place: %v", err)
			}
			wantEmpty(t, dir)
			if slices.Contains(children(t), worker) || worker == 0 {
				t.Errorf("worker %d runs on", worker)
			}
		})
	}
	if r, err := arc.build(t, Cut{}, newNode(t, "3", filepath.Join(t.TempDir(), "m")).target(0)); err != nil || r.Entries == 0 {
		t.Errorf("and then: %+v, %v", r, err)
	}
}

// TestWorkerHasNoSecrets: neither its arguments nor its environment tell anything.
func TestWorkerHasNoSecrets(t *testing.T) {
	t.Setenv("QUORATE_BACKUP_IDENTITY", "secret")
	w, err := startWorker(t.Context(), emptyDB(t), Cut{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	pid := children(t)[0]
	for name, want := range map[string]string{"cmdline": "quorate\x00replay-worker\x00", "environ": "GOTRACEBACK=single\x00", "oom_score_adj": "1000\n"} {
		if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, want %q: %v", name, got, want, err)
		}
	}
}

// children are our living processes that replay.
func children(t *testing.T) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		stat, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		if strings.Contains(string(cmdline), Subcommand) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}
