package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/probe"
)

// Binary is the program to deploy.
type Binary struct {
	Sum  string // SHA-256 in hex
	Arch string // as uname says
	Size int64  // bytes
	// Pack is called when a host lacks it: the path of the program, compressed by
	// gzip. Safe for concurrent use.
	Pack func() (string, error)
}

// Fleet is the hosts of one cluster.
type Fleet struct {
	Nodes   []*Node
	Binary  Binary
	Cluster string
	DataDir string
	Ports   []hosts.Port
	Listen  string // IP address to listen on; empty: each host's own
	Limits  hosts.Limits
	// Size is the wanted number of voters.
	Size int
	// Within bounds each wait for the cluster to be well.
	Within time.Duration
	// Say tells of progress: a host's name, or empty for all, and what happens.
	// Safe for concurrent use.
	Say func(host, line string)
}

// Look finds out what all hosts are, at once. It changes nothing.
func (f *Fleet) Look(ctx context.Context) error {
	_ = each(ctx, f.Nodes, func(ctx context.Context, n *Node) error { n.look(ctx, f.DataDir); return nil })
	return stopped(ctx, ctx.Err())
}

// AsWanted says that every host runs what it is to run, by the last Look.
func (f *Fleet) AsWanted() bool {
	for _, n := range f.Nodes {
		if n.looked.Failed != "" || !n.looked.Facts.Stands(n.Release.Manifest()) {
			return false
		}
	}
	return true
}

// Check measures all hosts at once, after a Look, and judges them. For that it
// puts the binary there; Unstage takes it away again. An error is only that the
// run was interrupted: what is wrong with a host is in the verdict.
func (f *Fleet) Check(ctx context.Context) (hosts.Verdict, error) {
	var fit []*Node
	for _, n := range f.Nodes {
		l := n.looked
		if l.Failed == "" && l.Facts.Root && l.Facts.Arch == f.Binary.Arch && l.Facts.FreeProgram >= f.Limits.Program {
			fit = append(fit, n)
		}
	}
	_ = each(ctx, fit, func(ctx context.Context, n *Node) error {
		if err := n.stage(ctx, f.Binary); err != nil {
			n.looked.Failed = "uploading the binary: " + err.Error()
		}
		return nil
	})
	fit = slices.DeleteFunc(fit, func(n *Node) bool { return n.looked.Failed != "" })
	f.probe(ctx, fit)
	members, err := f.members(ctx)
	if err != nil {
		return hosts.Verdict{}, stopped(ctx, err)
	}
	w := hosts.Wanted{Cluster: f.Cluster, DataDir: f.DataDir, Arch: f.Binary.Arch, Limits: f.Limits, Members: members}
	return hosts.Judge(w, f.Looked()), stopped(ctx, ctx.Err())
}

// Looked is what the check has found, one a host.
func (f *Fleet) Looked() []hosts.Looked {
	var all []hosts.Looked
	for _, n := range f.Nodes {
		all = append(all, n.looked)
	}
	return all
}

// members are the names of the cluster's members, where one runs.
func (f *Fleet) members(ctx context.Context) ([]string, error) {
	running := f.runs()
	if len(running) == 0 {
		return nil, nil
	}
	s, err := best(ctx, running)
	if err != nil {
		return nil, ctx.Err() // nobody tells: then nobody is missed
	}
	var out []string
	for _, n := range s.Nodes {
		if isMember(n) {
			out = append(out, n.Name)
		}
	}
	return out, nil
}

// stage puts the binary on the host, unless it is there.
func (n *Node) stage(ctx context.Context, b Binary) error {
	if slices.Contains(n.looked.Facts.Binaries, b.Sum) {
		return nil
	}
	path, err := b.Pack()
	if err != nil {
		return err
	}
	packed, err := os.Open(path)
	if err != nil {
		return err
	}
	defer packed.Close()
	script, err := scripts.ReadFile("script/stage.sh")
	if err != nil {
		return err
	}
	n.staged = true // even an upload that fails may have made the directories
	return n.exec(ctx, packed, nil, "sh", "-c", string(script), "stage", b.Sum)
}

// Unstage takes away the binaries that Check has put there.
func (f *Fleet) Unstage(ctx context.Context) error {
	ctx, cancel := undoing(ctx)
	defer cancel()
	return each(ctx, f.Nodes, func(ctx context.Context, n *Node) error {
		if !n.staged {
			return nil
		}
		n.staged = false
		_, err := n.script(ctx, "unstage", "", [2]string{"BINARY", f.Binary.Sum})
		return err
	})
}

// undoing is a context for what must come to its end: it goes on when the user
// wants no more.
func undoing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), scriptLimit)
}

// probe measures on all nodes at once; all of them listen before any calls.
func (f *Fleet) probe(ctx context.Context, nodes []*Node) {
	nonce := rand.Text()
	var listening, called sync.WaitGroup
	listening.Add(len(nodes))
	called.Add(len(nodes))
	_ = each(ctx, nodes, func(ctx context.Context, n *Node) error {
		ready, done := sync.OnceFunc(listening.Done), sync.OnceFunc(called.Done)
		defer done()
		defer ready()
		m, err := n.measure(ctx, f.task(n, nodes, nonce), f.Binary.Sum,
			func() { ready(); listening.Wait() }, func() { done(); called.Wait() })
		if err != nil {
			n.looked.Failed = "measuring with the binary: " + err.Error()
		}
		n.looked.Probed, n.looked.Measured = err == nil, m
		return nil
	})
}

// task has the node call those that measure too: nobody listens on the others.
func (f *Fleet) task(n *Node, all []*Node, nonce string) hosts.Task {
	t := hosts.Task{Name: n.Name, Nonce: nonce, Listen: f.Listen, DataDir: f.DataDir, Busy: n.looked.Facts.Active, Ports: f.Ports}
	if t.Listen == "" {
		t.Listen = n.Address
		if _, err := netip.ParseAddr(n.Address); err != nil {
			t.Listen = "0.0.0.0" // as the agent does for a name
		}
	}
	for _, other := range all {
		t.Peers = append(t.Peers, hosts.PeerHost{Name: other.Name, Host: other.Address, Ports: f.Ports})
	}
	return t
}

// measure runs the probe on one host; listens is called once it listens, and
// returns when all do; called likewise.
func (n *Node) measure(ctx context.Context, task hosts.Task, sum string, listens, called func()) (hosts.Measured, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit+time.Minute)
	defer cancel()
	toHost, in := io.Pipe()
	fromHost, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := n.exec(ctx, toHost, out, Base+"/bin/"+sum, "ssh", "probe")
		out.CloseWithError(errors.Join(err, io.EOF))
		toHost.CloseWithError(io.ErrClosedPipe)
		ended <- err
	}()
	m, err := converse(json.NewEncoder(in), json.NewDecoder(fromHost), task, listens)
	if err == nil {
		called()
	}
	in.Close()
	fromHost.Close()
	if failed := <-ended; err != nil && failed != nil {
		err = failed // it says more
	}
	return m, err
}

// converse is the probe's protocol from our side: see probe.Run.
func converse(to *json.Encoder, from *json.Decoder, task hosts.Task, listens func()) (hosts.Measured, error) {
	var ready probe.Ready
	var m hosts.Measured
	if err := to.Encode(task); err != nil {
		return m, err
	}
	if err := from.Decode(&ready); err != nil {
		return m, fmt.Errorf("it does not listen: %w", err)
	}
	listens()
	if err := to.Encode(probe.Go{Go: true}); err != nil {
		return m, err
	}
	err := from.Decode(&m)
	return m, err
}

// lines says each line that is written to it.
type lines struct {
	say  func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.rest = rest
		l.say(string(line))
	}
}
