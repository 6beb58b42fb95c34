// Package exec is a peers source in a program that an operator gives, and so
// the way to any cloud that quorate does not know:
//
//	exec:///usr/local/bin/peers?every=10s&timeout=10s
//
// The program prints the group as JSON: a list with the peers file's keys,
//
//	[{"name": "a", "host": "10.0.0.1", "zone": "eu-1a", "state": "running"}, …]
//
// or more:
//
//	{"authoritative": true, "size": 3, "peers": […]}
//
// authoritative says that a machine that is not listed is gone for good: only a
// program that has seen the whole of the group's own list may say so. It is
// false by default.
//
// Anything but a whole answer is unknown: an exit code other than 0, no output,
// more than 1 MiB, other keys, an empty list. The program is started by its
// path, without a shell and without arguments, with the agent's environment and
// its own process group. At the time limit it is killed, with what it has
// started; so it may wait for a slow cloud, but not for ever.
package exec

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/pace"
	"github.com/quorate/quorate/internal/peers/query"
)

// Source runs its program for each look. Safe for concurrent use.
type Source struct {
	*pace.Source
	program string
	timeout time.Duration
	ports   entry.Ports
}

// Open takes exec:///path?options and does not look at the program, which may
// come later.
func Open(raw string, ports entry.Ports) (*Source, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("want exec:///path/to/program")
	}
	q := query.Of(u)
	s := &Source{program: filepath.Clean(u.Path), timeout: q.Duration("timeout", 10*time.Second, 100*time.Millisecond), ports: ports}
	s.Source = pace.New(q.Duration("every", 10*time.Second, 0), s.look)
	switch {
	case u.Scheme != "exec" || u.Opaque != "" || u.Host != "" || u.User != nil || u.Fragment != "" || !filepath.IsAbs(u.Path):
		q.Refuse("exec", "want exec:///path/to/program, with three slashes")
	case s.program == "/" || u.Path[len(u.Path)-1] == '/':
		q.Refuse("exec", "want a program, not a directory")
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Source) look(ctx context.Context) (cluster.View, error) {
	out, err := run(ctx, s.program, s.timeout)
	if err == nil {
		var v cluster.View
		if v, err = parse(out, s.ports); err == nil {
			return v, nil
		}
	}
	return cluster.View{}, fmt.Errorf("asking %s for peers: %w", s.program, err)
}
