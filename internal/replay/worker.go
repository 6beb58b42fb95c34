package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/child"
)

// ErrUnreplayable says that an entry, or all of them together, make etcd give up:
// the log is to blame, or etcd.
var ErrUnreplayable = errors.New("the log cannot be replayed")

// inFlight is how many segments a worker is sent before it has answered.
const inFlight = 2

// worker is a process that applies segments to a database: see Work. It is for
// one goroutine, and ends with its context or ours.
type worker struct {
	ctx   context.Context
	proc  *child.Process
	unlet func() bool // lets go of ctx
	in    *os.File
	w     *bufio.Writer
	out   *os.File
	r     *json.Decoder
	said  *head
	body  []byte
	sent  []string // names of what it has not answered
	at    answer   // the last
}

// startWorker has a worker open a database. Whoever has it must stop it.
func startWorker(ctx context.Context, db string, cut Cut) (*worker, error) {
	w, err := launch(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the process that replays: %w", err)
	}
	err = w.order("the snapshot's database", order{Open: &opening{DB: db, Index: cut.Index, Revision: cut.Revision}}, nil)
	if err == nil {
		err = w.settle(0)
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// launch starts the program anew, with nothing of our environment: there may be
// secrets in it.
func launch(ctx context.Context) (*worker, error) {
	self, err := ourselves()
	if err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer theirOut.Close()
	w := &worker{ctx: ctx, in: in, out: out, w: bufio.NewWriterSize(in, 1<<20), r: json.NewDecoder(out), said: &head{}}
	cmd := exec.Command(self, Subcommand)
	cmd.Args[0] = "quorate"
	cmd.Env = []string{"GOTRACEBACK=single"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, w.said
	if w.proc, err = child.Start(cmd); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	w.unlet = context.AfterFunc(ctx, w.proc.Kill)
	return w, nil
}

// ourselves is this very program, though another one has its name by now.
func ourselves() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// apply sends a segment; the answer to an earlier one may tell an error.
func (w *worker) apply(s chain.Segment) (err error) {
	if w.body, err = frame(w.body[:0], s.Entries); err != nil {
		return err
	}
	what := fmt.Sprintf("chain %d, segment %d", s.Chain, s.Number)
	if err := w.order(what, order{Batch: &portion{Entries: len(s.Entries), Size: len(w.body), Check: s.Check}}, w.body); err != nil {
		return err
	}
	return w.settle(inFlight - 1)
}

// close has all of it applied and in the file, and ends the worker.
func (w *worker) close() error {
	err := w.order("the end of the log", order{Close: true}, nil)
	if err == nil {
		err = w.settle(0)
	}
	return err
}

// stop ends the worker, whatever it does, and waits for it. After close there is
// nothing left to lose.
func (w *worker) stop() {
	w.unlet()
	w.proc.Kill()
	w.in.Close()
	w.out.Close()
}

func (w *worker) order(what string, o order, body []byte) error {
	w.sent = append(w.sent, what)
	line, err := json.Marshal(o)
	if err == nil {
		_, err = w.w.Write(append(line, '\n'))
	}
	if err == nil {
		_, err = w.w.Write(body)
	}
	if err == nil {
		err = w.w.Flush()
	}
	if errors.Is(err, syscall.EPIPE) {
		return w.settle(0) // what it has said before it ended
	}
	return err
}

// settle takes in answers until so few are left to come.
func (w *worker) settle(left int) error {
	for len(w.sent) > left {
		var a answer
		if err := w.r.Decode(&a); err != nil {
			return w.ended(err)
		}
		w.at = a
		if a.Error != "" {
			return w.blamed(hearsay{a.Error, faults[a.Fault]})
		}
		w.sent = w.sent[1:]
	}
	return nil
}

// ended says why a worker does not answer any more.
func (w *worker) ended(err error) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.proc.Kill()
		return w.blamed(fmt.Errorf("reading what the process that replays says: %w", err))
	}
	state := w.proc.State()
	status, _ := state.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() == syscall.SIGKILL {
		return w.blamed(errors.New("the process that replays was killed; had it memory enough?"))
	}
	return w.blamed(fmt.Errorf("%w: the process that replays ended with %v%s", errCrashed, state, w.said.line()))
}

// errCrashed is etcd's panic where nobody could catch it.
var errCrashed = hearsay{"etcd gave up", ErrUnreplayable}

// blamed names the place in the log.
func (w *worker) blamed(err error) error {
	if w.at.Index == 0 {
		return fmt.Errorf("opening %s: %w", w.sent[0], err)
	}
	return fmt.Errorf("%w after index %d: %s: %w", cannot{errors.Is(err, ErrUnreplayable)}, w.at.Index, w.sent[0], err)
}

// cannot says that it cannot be replayed, and whether the log is to blame for it.
type cannot struct{ blame bool }

func (cannot) Error() string          { return ErrUnreplayable.Error() }
func (c cannot) Is(target error) bool { return c.blame && target == ErrUnreplayable }

// head keeps the beginning of what a process says: a panic's words come first.
type head struct{ b bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.b.Write(p[:min(len(p), max(0, 8<<10-h.b.Len()))])
	return len(p), nil
}

// line is the one that tells most. The process has ended.
func (h *head) line() string {
	first := ""
	for line := range strings.Lines(h.b.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return ": " + line
		}
		if first == "" && line != "" {
			first = ": " + line
		}
	}
	return first
}
