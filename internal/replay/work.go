package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/chain"
)

// Subcommand is the argument that makes the program the worker: see Work.
const Subcommand = "replay-worker"

const (
	// garbage is Go's GC percent in a worker: it lives shortly and is in a hurry.
	garbage = 200
	// A worker compares hashes for so long, and for one part in so many of the time
	// that it takes; and the last one, however long that takes.
	hashingTime, hashingPart = 200 * time.Millisecond, 10
)

// Work is the worker: a process of its own, which applies a log to a database as
// it is told on in, and tells on out how it goes. It has no secrets, no store and
// no network: what makes etcd give up or takes all memory ends this process and no
// other. It ends with its orders. The result is the exit code.
func Work(in io.Reader, out io.Writer) int {
	debug.SetGCPercent(garbage)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // before any etcd
	w := work{out: json.NewEncoder(out)}
	orders := make(chan task, 1)
	go read(in, orders)
	for t := range orders {
		if err := w.do(t); err != nil {
			w.at = faulty(w.at, err)
			_ = w.out.Encode(w.at) // nobody is left to tell
			return 1
		}
		if t.Close {
			return 0
		}
	}
	return 1
}

// task is an order with what has followed it.
type task struct {
	order
	entries []*raftpb.Entry
	err     error
}

// read reads ahead of the work; the end of the orders, or nonsense, closes tasks.
func read(in io.Reader, tasks chan<- task) {
	defer close(tasks)
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		var t task
		if t.err = json.Unmarshal(line, &t.order); t.err == nil && t.Batch != nil {
			body := make([]byte, t.Batch.Size)
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			t.entries, t.err = unframe(body, t.Batch.Entries)
		}
		tasks <- t
	}
}

// work is a worker's state.
type work struct {
	out     *json.Encoder
	a       *Applier
	cut     Cut
	at      answer
	began   time.Time
	hashed  time.Duration // spent on hashes
	pending *chain.HashKV // not compared yet
}

// do carries out an order and answers it.
func (w *work) do(t task) error {
	err := t.err
	switch {
	case err != nil:
	case t.Open != nil:
		err = w.open(*t.Open)
	case w.a == nil:
		err = errors.New("no database is open")
	case t.Batch != nil:
		err = w.batch(t)
	case t.Close:
		err = w.close()
	}
	if err != nil {
		return err
	}
	return w.out.Encode(w.at)
}

func (w *work) open(o opening) (err error) {
	w.cut, w.began = Cut{Index: o.Index, Revision: o.Revision}, time.Now()
	w.a, err = Open(o.DB)
	if err == nil {
		w.stand()
	}
	return err
}

func (w *work) stand() {
	w.at.Index, w.at.Revision, w.at.Reached = w.a.Index(), w.a.Revision(), w.cut.reached(w.a)
}

// batch applies a segment up to the cut.
func (w *work) batch(t task) error {
	for _, e := range t.entries {
		if w.cut.reached(w.a) {
			w.stand()
			return nil
		}
		if err := w.a.Apply(e); err != nil {
			w.stand()
			return unreplayable(err)
		}
	}
	w.stand()
	if t.Batch.Check != nil {
		w.pending = t.Batch.Check
		if w.hashed <= hashingTime+time.Since(w.began)/hashingPart {
			return w.compare()
		}
	}
	return nil
}

// compare holds the state against what the live cluster told last. What was
// compacted further since cannot be compared.
func (w *work) compare() error {
	check, began := w.pending, time.Now()
	if check == nil || check.Revision > w.a.Revision() {
		return nil
	}
	w.pending = nil
	hash, compacted, err := w.a.Hash(check.Revision)
	w.hashed += time.Since(began)
	switch {
	case err != nil || compacted != check.Compact:
		return nil
	case hash != check.Hash:
		return fmt.Errorf("%w: HashKV at revision %d is %d, and was %d", ErrDiverged, check.Revision, hash, check.Hash)
	}
	w.at.Checked = check.Revision
	return nil
}

// close has everything in the file.
func (w *work) close() error {
	return errors.Join(w.compare(), w.a.Close())
}
