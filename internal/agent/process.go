package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// Names below the data directory.
const (
	leavingFile   = "leaving"        // `quorate leave` has been said
	seedFailsFile = "seed-fails"     // restores of one charter's seed that failed
	foreignFile   = "foreign"        // an etcd that is not ours has served here
	stagingPrefix = "staged-"        // staged-N: a complete seed for epoch N
	partialPrefix = "staging-"       // staging-N: an incomplete one
	scratchPrefix = "seed-scratch-"  // a survivor's copy while it is made a seed
	unpackPrefix  = "unpacked-"      // a backup's database, checked by this agent
	backoffMin    = 1 * time.Second  // after the second end in a row
	backoffMax    = 30 * time.Second // at most
	settled       = 30 * time.Second // healthy for so long: the crashes are forgotten
)

// launchState is the history of this agent's starts of etcd.
type launchState struct {
	identity  string // spent by the running process
	sawData   bool   // its WAL has been seen
	at        time.Time
	crashes   int // in a row
	restarts  int
	notBefore time.Time
}

// seedFailures counts the restores of a charter's seed that failed in a row: a
// founder that is started again after each must still come to say SeedFailed.
type seedFailures struct {
	Epoch cluster.Epoch `json:"epoch"`
	Fails int           `json:"fails"`
}

func (s seedFailures) of(e cluster.Epoch) int {
	if s.Epoch != e {
		return 0
	}
	return s.Fails
}

// loadSeedFailures counts from none when the file is not there or makes no
// sense: the restore is tried more often.
func loadSeedFailures(path string) (s seedFailures) {
	if raw, err := os.ReadFile(path); err != nil || json.Unmarshal(raw, &s) != nil {
		return seedFailures{}
	}
	return s
}

func (a *Agent) noteSeed(s seedFailures) {
	a.seedFails = s
	raw, err := json.Marshal(s)
	if err == nil {
		err = durable.WriteFile(a.path(seedFailsFile), raw, 0o600)
	}
	if err != nil {
		a.log.Warn("recording how often the seed could not be restored", "error", err)
	}
}

// settle forgets crashes once etcd has been well for a while.
func (l *launchState) settle(now time.Time) {
	if l.crashes > 0 && now.Sub(l.at) > settled {
		l.crashes = 0
	}
}

// reap notes that our etcd has ended. The first end is followed by a start at
// once, the next ones by a growing pause.
func (a *Agent) reap() {
	if a.proc == nil {
		return
	}
	select {
	case <-a.proc.Done():
	default:
		return
	}
	exit := a.proc.Exit()
	a.log.Warn("etcd has ended", "pid", a.proc.PID(), "exit", exit, "after", time.Since(a.launch.at).Round(time.Millisecond))
	a.proc, a.foreign = nil, false
	a.launch.crashes++
	a.launch.restarts++
	a.launch.notBefore = time.Now().Add(backoff(a.launch.crashes))
	a.unspend(exit)
}

func backoff(crashes int) time.Duration {
	if crashes < 2 {
		return 0
	}
	return min(backoffMin<<min(crashes-2, 10), backoffMax)
}

// unspend gives an identity back: an etcd that ended by itself before it wrote
// a WAL has voted for nobody. One that was killed may have.
func (a *Agent) unspend(exit string) {
	id := a.launch.identity
	a.launch.identity = ""
	if id == "" || a.launch.sawData || !strings.HasPrefix(exit, "exit status") || a.disks.Read().State != cluster.DiskEmpty {
		return
	}
	if err := etcd.Unspend(a.opt.DataDir, id); err != nil {
		a.log.Warn("giving an unused identity back", "error", err)
	}
}

// lookForForeign finds an etcd at our client address that nobody of us started.
func (a *Agent) lookForForeign(ctx context.Context, o *plan.Observation) {
	if a.proc == nil {
		a.foreign = a.answersHere(ctx)
	}
	if o.Disk.State != cluster.DiskEmpty {
		if !a.readOnly {
			_ = os.Remove(a.path(foreignFile))
		}
		return
	}
	if a.proc != nil {
		return
	}
	_, err := os.Stat(a.path(foreignFile))
	unmarked := errors.Is(err, os.ErrNotExist) // a mark that is unread may be there
	if unmarked && a.foreign && !a.readOnly {
		err = durable.WriteFile(a.path(foreignFile), []byte("an etcd that quorate did not start has served here, on data elsewhere\n"), 0o600)
		if err != nil {
			a.log.Warn("recording that an etcd serves here on data elsewhere", "error", err)
		}
		unmarked = false
	}
	if !unmarked {
		o.Disk.State = cluster.DiskElsewhere
	}
}

func (a *Agent) answersHere(ctx context.Context) bool {
	if a.own == nil {
		conn, err := dialer.DialContext(ctx, "tcp", hostPort(a.clientURL()))
		if err != nil {
			return false
		}
		conn.Close()
		a.own = a.parts.Dial(a.clientURL())
	}
	call, cancel := context.WithTimeout(ctx, etcdLook)
	defer cancel()
	_, err := a.own.Status(call)
	return err == nil
}

// isForeign says that an etcd found on our data directory was not started by
// quorate: its data has no stamp.
func isForeign(opt Options) bool {
	_, err := os.Stat(filepath.Join(opt.Etcd.DataDir, etcd.StampFile))
	return errors.Is(err, os.ErrNotExist)
}

func (a *Agent) path(name string) string { return filepath.Join(a.opt.DataDir, name) }

func stagedDir(dir string, e cluster.Epoch) string {
	return filepath.Join(dir, stagingPrefix+strconv.FormatUint(uint64(e), 10))
}

// stagedEpoch is the newest epoch for which a complete seed is staged.
func stagedEpoch(dir string) cluster.Epoch {
	var newest cluster.Epoch
	names, _ := filepath.Glob(filepath.Join(dir, stagingPrefix+"*"))
	for _, n := range names {
		e, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(n), stagingPrefix), 10, 64)
		if err == nil {
			newest = max(newest, cluster.Epoch(e))
		}
	}
	return newest
}

// sweepStaging removes what an interrupted restore has left: copies, never data.
func sweepStaging(dir string) error {
	var errs []error
	for _, prefix := range []string{partialPrefix, scratchPrefix, unpackPrefix} {
		names, _ := filepath.Glob(filepath.Join(dir, prefix+"*"))
		for _, n := range names {
			errs = append(errs, os.RemoveAll(n))
		}
	}
	return errors.Join(errs...)
}

// lockDir makes sure that one agent works on a data directory. The lock ends
// with the process.
func (a *Agent) lockDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("data-dir: another agent works in %s", dir)
	}
	a.lockFile = f
	return nil
}
