package deploy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/hosts"
)

// lookLimit bounds one look at a host.
const lookLimit = 30 * time.Second

// look finds out what the host is; what goes wrong is the host's failure.
func (n *Node) look(ctx context.Context, dataDir string) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	n.looked = hosts.Looked{Host: n.Host}
	facts, err := n.facts(ctx, dataDir)
	if err != nil {
		n.looked.Failed = err.Error()
	}
	n.looked.Facts = facts
}

func (n *Node) facts(ctx context.Context, dataDir string) (hosts.Facts, error) {
	if err := n.becomeRoot(ctx); err != nil {
		return hosts.Facts{}, err
	}
	out, err := n.script(ctx, "look", "", [2]string{"DATA_DIR", dataDir})
	if err != nil {
		return hosts.Facts{}, err
	}
	f, err := hosts.ParseFacts(out)
	f.Clock = n.clock(ctx)
	return f, err
}

// becomeRoot finds out how to be root. Where it cannot be found, the look goes
// on without.
func (n *Node) becomeRoot(ctx context.Context) error {
	id := func(words ...string) (string, error) {
		var out bytes.Buffer
		err := n.Machine.Exec(ctx, nil, &out, append(words, "id", "-u")...)
		return strings.TrimSpace(out.String()), err
	}
	n.become = nil
	switch uid, err := id(); {
	case err != nil:
		return err
	case uid == "0":
		return nil
	}
	if uid, err := id("sudo", "-n"); err == nil && uid == "0" {
		n.become = []string{"sudo", "-n"}
	}
	return ctx.Err()
}

// clock asks the host's clock a few times and takes the answer that came
// fastest: it was read some time between asking and hearing.
func (n *Node) clock(ctx context.Context) hosts.Clock {
	toHost, in := io.Pipe()
	fromHost, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		_ = n.Machine.Exec(ctx, toHost, out, "sh", "-c", "while read -r _; do date +%s.%N; done") // no answer tells
		out.Close()
		toHost.Close()
		close(ended)
	}()
	var best hosts.Clock
	answers := bufio.NewReader(fromHost)
	for range 5 {
		asked := time.Now()
		if _, err := io.WriteString(in, "\n"); err != nil {
			break
		}
		text, err := answers.ReadString('\n')
		took := time.Since(asked)
		if err != nil {
			break
		}
		at, grain, ok := parseDate(strings.TrimSpace(text))
		if c := (hosts.Clock{Offset: at.Sub(asked.Add(took / 2)), Doubt: took/2 + grain, Known: ok}); ok && (!best.Known || c.Doubt < best.Doubt) {
			best = c
		}
	}
	in.Close()
	fromHost.Close()
	<-ended
	return best
}

// parseDate reads seconds.nanoseconds; a date that knows no %N tells seconds
// alone.
func parseDate(text string) (at time.Time, grain time.Duration, ok bool) {
	whole, part, _ := strings.Cut(text, ".")
	s, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, 0, false
	}
	ns, err := strconv.ParseInt(part, 10, 64)
	if err != nil || len(part) != 9 {
		return time.Unix(s, 0).Add(time.Second / 2), time.Second / 2, true
	}
	return time.Unix(s, ns), 0, true
}

// runs are the nodes on which an agent of ours runs.
func (f *Fleet) runs() []*Node {
	var out []*Node
	for _, n := range f.Nodes {
		if n.looked.Facts.Active && !n.looked.Facts.Release.None() {
			out = append(out, n)
		}
	}
	return out
}

// errStopped is a run that the user has ended.
var errStopped = errors.New("interrupted")

// stopped says in the user's words why a context is over.
func stopped(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) && err != nil {
		return errStopped
	}
	return err
}
