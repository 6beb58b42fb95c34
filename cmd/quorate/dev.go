package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/durable"
)

// devCmd runs a whole cluster on this machine: one real agent process a node,
// each with its own data, a peers file and a directory store.
type devCmd struct {
	Up   devUp   `cmd:"" default:"withargs" help:"Start the cluster, or resume it; Ctrl-C stops all and leaves the data."`
	Kill devKill `cmd:"" help:"kill -9 a node's etcd, and watch its agent start it again."`
	Lose devLose `cmd:"" help:"Lose a machine for good: its processes, its disk and its place in the peers file."`
	Wipe devWipe `cmd:"" help:"Empty a node's disk: it comes back as a new member."`
	Add  devAdd  `cmd:"" help:"Add a new machine."`
}

// devDir is where a dev cluster lives.
type devDir struct {
	Dir string `default:"quorate-dev" type:"path" help:"Directory of the dev cluster; made when missing." env:"QUORATE_DEV_DIR"`
}

type devUp struct {
	devDir
	Size     *int `help:"Voters wanted, and machines at the first start (default 3; when resuming, as before)."`
	BasePort *int `help:"Client port of the first node; its peer port is one above, its agent port one below, and each further node ten above (default 2379; when resuming, as before)."`
}

// mostNodes is how many nodes `quorate dev` begins with at most.
const mostNodes = 50

// given are the numbers that the user gave, 0 for none.
func (c *devUp) given() (size, basePort int, err error) {
	var problems []error
	if c.Size != nil {
		if size = *c.Size; size < 1 || size > mostNodes {
			problems = append(problems, fmt.Errorf("size: %d: want 1 to %d (odd, to lose a minority)", size, mostNodes))
		}
	}
	if c.BasePort != nil {
		if basePort = *c.BasePort; basePort < 2 || basePort > 65000 {
			problems = append(problems, fmt.Errorf("base-port: %d: want 2 to 65000", basePort))
		}
	}
	return size, basePort, errors.Join(problems...)
}

// Run supervises the agents until ctx ends, or the terminal or the reader of
// what it prints goes away: nobody could stop the agents after that.
func (c *devUp) Run(ctx context.Context, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	size, basePort, err := c.given()
	if err != nil {
		return usage{err}
	}
	s, err := openDev(c.Dir, size, basePort)
	if err != nil {
		return err
	}
	release, err := s.supervise()
	if err != nil {
		return err
	}
	defer release()
	if basePort != 0 && basePort != s.BasePort {
		return usage{fmt.Errorf("base-port: the cluster in %s keeps its ports, from %d on; another --dir makes another cluster", c.Dir, s.BasePort)}
	}
	s.endOrphans(ctx)
	if err := s.portsFree(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	d := &devSupervisor{dir: c.Dir, self: self, agents: map[string]*devAgent{}, out: out}
	return d.run(ctx)
}

// devSupervisor starts an agent for each node that should run one, again
// whenever it has ended.
type devSupervisor struct {
	dir    string
	self   string
	agents map[string]*devAgent
	out    io.Writer
	table  devTable
}

type devAgent struct {
	cmd   *exec.Cmd
	done  chan struct{}
	began time.Time
}

func (d *devSupervisor) run(ctx context.Context) error {
	defer d.stopAll()
	for {
		s, err := readDev(d.dir)
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if err := d.tend(s, n); err != nil {
				return err
			}
		}
		d.table.show(ctx, d.out, s)
		select {
		case <-ctx.Done():
			fmt.Fprintln(d.out, "\nstopping every node; the data stays in", d.dir)
			return nil
		case <-time.After(400 * time.Millisecond):
		}
	}
}

func (d *devSupervisor) tend(s devState, n devNode) error {
	a := d.agents[n.Name]
	if a != nil {
		select {
		case <-a.done:
			if n.Lost {
				delete(d.agents, n.Name)
				return nil
			}
			if time.Since(a.began) < 2*time.Second && a.cmd.ProcessState.ExitCode() == 2 {
				log, _ := os.ReadFile(d.logFile(n))
				return fmt.Errorf("the agent of %s does not start:\n%s", n.Name, tail(log, 800))
			}
		default:
			return nil
		}
	}
	if n.Lost {
		return nil
	}
	a, err := d.start(s, n)
	d.agents[n.Name] = a
	return err
}

func (d *devSupervisor) logFile(n devNode) string {
	return filepath.Join(d.dir, "nodes", n.Name+".log")
}

func (d *devSupervisor) start(s devState, n devNode) (*devAgent, error) {
	if err := durable.MkdirAll(filepath.Join(d.dir, "nodes"), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(d.logFile(n), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(d.self, "run", "--cluster", "dev", "--name", n.Name, "--host", "127.0.0.1",
		"--data-dir", n.dataDir(d.dir), "--peers", "file://"+s.peersFile(), "--store", "file://"+filepath.Join(d.dir, "store")+"?create_dir=true",
		"--size", strconv.Itoa(s.Size), "--client-port", strconv.Itoa(n.Client), "--peer-port", strconv.Itoa(n.Client+1),
		"--agent-port", strconv.Itoa(n.Client-1), "--founding-wait", "5s", "--dead-after", "15s", "--backup-interval", "1m")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = withoutQuorateEnv(os.Environ())
	// Ctrl-C on the terminal is ours to pass on, in our order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the agent of %s: %w", n.Name, err)
	}
	a := &devAgent{cmd: cmd, done: make(chan struct{}), began: time.Now()}
	go func() {
		_ = cmd.Wait()
		close(a.done)
	}()
	return a, durable.WriteFile(n.pidFile(d.dir), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

// stopAll ends every agent, which ends its etcd; all at once.
func (d *devSupervisor) stopAll() {
	for _, a := range d.agents {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, a := range d.agents {
		select {
		case <-a.done:
		case <-time.After(40 * time.Second):
			_ = a.cmd.Process.Kill()
			<-a.done
		}
	}
}

func tail(b []byte, n int) string { return string(b[max(0, len(b)-n):]) }

type devNodeArg struct {
	devDir
	Node string `arg:"" help:"Name of the node."`
}

type devKill struct{ devNodeArg }

// Run kills the node's etcd, as a crash would.
func (c *devKill) Run(out io.Writer) error {
	s, err := readDev(c.Dir)
	if err != nil {
		return err
	}
	n, err := s.node(c.Node)
	if err != nil {
		return err
	}
	pid, err := n.killEtcd(c.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "killed etcd of %s (pid %d); its agent starts it again\n", n.Name, pid)
	return nil
}

type devLose struct{ devNodeArg }

// Run takes the machine out of the peers file, ends its processes and sets its
// directory out of reach.
func (c *devLose) Run(out io.Writer) error {
	return changeDev(c.Dir, func(s *devState) error {
		n, err := s.node(c.Node)
		if err != nil {
			return err
		}
		if n.Lost {
			return usage{fmt.Errorf("node: %s is lost already", n.Name)}
		}
		s.set(n.Name, func(n *devNode) { n.Lost = true })
		if err := s.save(c.Dir); err != nil {
			return err
		}
		n.killAll(c.Dir)
		fmt.Fprintf(out, "%s is gone for good; `quorate dev add NAME` brings a new machine\n", n.Name)
		return n.bury(c.Dir)
	})
}

type devWipe struct{ devNodeArg }

// Run ends the node's processes and empties its disk.
func (c *devWipe) Run(out io.Writer) error {
	return changeDev(c.Dir, func(s *devState) error {
		n, err := s.node(c.Node)
		if err != nil {
			return err
		}
		if n.Lost {
			return usage{fmt.Errorf("node: %s is lost: there is no disk to wipe", n.Name)}
		}
		n.killAll(c.Dir)
		fmt.Fprintf(out, "%s has lost its disk; it comes back as a new member\n", n.Name)
		return os.RemoveAll(n.dataDir(c.Dir))
	})
}

type devAdd struct{ devNodeArg }

// Run adds a machine to the peers file; the running `quorate dev` starts it.
func (c *devAdd) Run(out io.Writer) error {
	return changeDev(c.Dir, func(s *devState) error {
		if _, err := s.node(c.Node); err == nil {
			return usage{fmt.Errorf("node: %s exists already", c.Node)}
		} else if !errors.As(err, new(usage)) {
			return err
		}
		n, err := s.add(c.Node)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is a new machine, on client port %d\n", n.Name, n.Client)
		return s.save(c.Dir)
	})
}
