// Package file is a peers source in a YAML file that an operator or a machine
// writes:
//
//   - name: a                        # unique; etcd's member name
//     host: 10.0.0.1                 # IP address or DNS name
//     id: i-0123                     # the machine's own; default: the name
//     zone: eu-1a
//     region: eu-1
//     state: running                 # pending, running, terminating, terminated
//     launched: 2026-01-02T03:04:05Z # RFC 3339
//     client_port: 2379              # default: the group's
//     peer_port: 2380
//     agent_port: 2378
//
// It is authoritative: a peer that leaves the file is gone. So anything that
// could be a file in the middle of being written is an error, which means
// unknown, and never a shorter group. Write a new file and rename it.
package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// limit is far above any group's size, and below what hurts to read each second.
const limit = 1 << 20

// Source reads its file anew for each view. Safe for concurrent use.
type Source struct {
	path  string
	ports entry.Ports
}

// Open takes file:///path and does not look at the file, which may come later.
func Open(raw string, ports entry.Ports) (*Source, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme != "file":
		return nil, fmt.Errorf("scheme %q: want file", u.Scheme)
	case u.Opaque != "" || u.User != nil || (u.Host != "" && u.Host != "localhost") || !filepath.IsAbs(u.Path):
		return nil, fmt.Errorf("%q: want file:///path, with three slashes", raw)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%q: want nothing after the path", raw)
	case filepath.Clean(u.Path) == "/" || u.Path[len(u.Path)-1] == '/':
		return nil, fmt.Errorf("%q: want a file, not a directory", raw)
	}
	return &Source{path: filepath.Clean(u.Path), ports: ports}, nil
}

// View reads the file. Every doubt about it is an error.
func (s *Source) View(ctx context.Context) (cluster.View, error) {
	if err := ctx.Err(); err != nil {
		return cluster.View{}, err
	}
	data, at, err := steady(s.path)
	if err != nil {
		return cluster.View{}, fmt.Errorf("reading peers: %w", err)
	}
	if cut(data) && time.Since(at) < settled {
		return cluster.View{}, fmt.Errorf("reading peers from %s: no newline at the end of the last line, and written a moment ago: half written?", s.path)
	}
	peers, err := parse(data, s.ports)
	if err != nil {
		return cluster.View{}, fmt.Errorf("reading peers from %s: %w", s.path, err)
	}
	return cluster.View{Peers: peers, Authoritative: true}, nil
}

// steady is the content of a file that nobody touched meanwhile: the open file
// is still the one at path, and size and time of change are as before.
func steady(path string) ([]byte, time.Time, error) {
	before, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, time.Time{}, err
	case !before.Mode().IsRegular(): // opening a pipe would wait for a writer
		return nil, time.Time{}, fmt.Errorf("%s is not a regular file", path)
	case before.Size() > limit:
		return nil, time.Time{}, fmt.Errorf("%s has %d bytes: want %d at most", path, before.Size(), limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	after, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	if !same(before, opened) || !same(before, after) || int64(len(data)) != before.Size() {
		return nil, time.Time{}, fmt.Errorf("%s changed while it was read", path)
	}
	return data, before.ModTime(), nil
}

// settled is how long a file whose last line has no end must rest: a writer
// may be in the middle of it, and "127.0.0.1" become "127.0.0.12".
const settled = 3 * time.Second

// cut says that the last line has no end.
func cut(data []byte) bool {
	text := bytes.TrimRight(data, " \t")
	return len(text) > 0 && text[len(text)-1] != '\n' && text[len(text)-1] != ']'
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// peer is one entry, made of what is in the file.
func (e item) peer(ports entry.Ports) (cluster.Peer, error) {
	host, err := entry.Host(e.Host)
	if err != nil {
		return cluster.Peer{}, err
	}
	p := cluster.Peer{
		ID: e.ID, Name: e.Name, Host: host, Zone: e.Zone, Region: e.Region,
		State: cluster.Running, ClientPort: ports.Client, PeerPort: ports.Peer, AgentPort: ports.Agent,
	}
	if e.State != nil {
		p.State = cluster.PeerState(*e.State)
	}
	if e.Launched != nil {
		if p.Launched, err = time.Parse(time.RFC3339, *e.Launched); err != nil {
			return cluster.Peer{}, fmt.Errorf("launched %q: want RFC 3339, as 2026-01-02T03:04:05Z", *e.Launched)
		}
	}
	override(&p.ClientPort, e.ClientPort)
	override(&p.PeerPort, e.PeerPort)
	override(&p.AgentPort, e.AgentPort)
	p = entry.Ports{}.Fill(p) // the id
	return p, entry.Check(p)
}

func override(port, given *int) {
	if given != nil { // zero too: it is then refused, not taken as "not there"
		*port = *given
	}
}
