package agent

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// pulseEvery parts two measurements of the disk; pulseFile, in etcd's data
// directory, is what they write.
const (
	pulseEvery = 2 * time.Second
	pulseFile  = "quorate.pulse"
)

// pulse measures how long the disk under etcd takes to make a few bytes durable,
// as etcd's own log has to for each write. It asks the disk itself: etcd's
// figures tell nothing while nobody writes.
type pulse struct {
	mu    sync.Mutex
	state plan.Pulse
	last  time.Duration
	began time.Time // of the measurement under way; zero: none
}

// watchPulse measures until ctx ends. A disk that hangs holds up the measuring
// alone.
func (a *Agent) watchPulse(ctx context.Context) {
	for ctx.Err() == nil {
		if s := a.published.Load(); s.observation.Process.Running && s.observation.Disk.State == cluster.DiskData && !a.readOnly {
			a.pulse.begin()
			took, err := fsyncIn(a.opt.Etcd.DataDir)
			a.pulse.end(took, err == nil)
		}
		sleep(ctx, pulseEvery)
	}
}

// fsyncIn writes a page to a file in dir, durably. It makes no directory.
func fsyncIn(dir string) (time.Duration, error) {
	f, err := os.OpenFile(filepath.Join(dir, pulseFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	began := time.Now()
	page := []byte(began.UTC().Format(time.RFC3339Nano) + "\n")
	if _, err = f.WriteAt(page, 0); err == nil {
		err = unix.Fdatasync(int(f.Fd()))
	}
	return time.Since(began), err
}

func (p *pulse) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = time.Now()
}

func (p *pulse) end(took time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = time.Time{}
	if ok {
		p.last, p.state = took, p.state.Beat(took)
	}
}

// now is what is known: of a measurement under way, what it has taken so far.
func (p *pulse) now() (slow bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.began.IsZero() {
		if under := time.Since(p.began); p.state.Beat(under).Slow && !p.state.Slow || p.state.Slow && under > p.last {
			return true, under
		}
	}
	return p.state.Slow, p.last
}

func (p *pulse) seconds() float64 {
	_, took := p.now()
	return took.Seconds()
}
