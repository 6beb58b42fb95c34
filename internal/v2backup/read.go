package v2backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

const (
	// maxLine bounds one key's JSON, so that no input fills the memory: the
	// largest value that etcd takes, each byte escaped.
	maxLine = 16 << 20
	// maxTTL is the longest lease that etcd grants.
	maxTTL = 9_000_000_000 * time.Second
	// maxProblems are shown of a file that is wrong altogether.
	maxProblems = 10
)

// Node is one line: a key, or a directory.
type Node struct {
	Key     string
	Value   string
	Dir     bool
	Expires time.Time // its own or the nearest of a directory above it; zero: never
}

// line is a line's JSON. Other fields, as modifiedIndex, mean nothing in v3.
type line struct {
	Key        string            `json:"key"`
	Value      string            `json:"value"`
	Dir        bool              `json:"dir"`
	TTL        int64             `json:"ttl"` // seconds, when the backup was taken
	Expiration *time.Time        `json:"expiration"`
	Nodes      []json.RawMessage `json:"nodes"`
}

// Read calls each for every key and directory, in the file's order, but for the
// root. A ttl without an expiration counts from now. Bad lines are told
// together, each with its number, and end nothing; a file that is cut or
// damaged, and an error of each, end it. Memory does not grow with the file.
func Read(r io.Reader, now time.Time, each func(Node) error) error {
	text, err := uncompressed(r)
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(text, 64<<10)
	tree := expiries{}
	var problems []error
	for number := 1; ; number++ {
		raw, err := nextLine(lines)
		if err != nil && err != io.EOF {
			return errors.Join(append(problems, fmt.Errorf("line %d: %w", number, err))...)
		}
		if raw = bytes.TrimSpace(raw); len(raw) > 0 {
			n, bad := parse(raw, now)
			switch {
			case bad != nil && len(problems) == maxProblems:
				return errors.Join(append(problems, errors.New("and more"))...)
			case bad != nil:
				problems = append(problems, fmt.Errorf("line %d: %w", number, bad))
			case n.Key != "":
				if bad := each(tree.inherit(n)); bad != nil {
					return bad
				}
			}
		}
		if err == io.EOF {
			return errors.Join(problems...)
		}
	}
}

// uncompressed takes gzip, and the bare lines too.
func uncompressed(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	text, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	return text, nil
}

// nextLine is the next line, however long but for maxLine. io.EOF may come with
// the last one.
func nextLine(in *bufio.Reader) ([]byte, error) {
	var whole []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(whole)+len(part) > maxLine {
			return nil, fmt.Errorf("is longer than %d MiB", maxLine>>20)
		}
		if err == nil && whole == nil {
			return part, nil
		}
		whole = append(whole, part...)
		if err != bufio.ErrBufferFull {
			return whole, err
		}
	}
}

// parse reads a line; the root, which etcd-aws writes first, is no key at all.
func parse(raw []byte, now time.Time) (Node, error) {
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return Node{}, fmt.Errorf("want a JSON object: %w", err)
	}
	switch {
	case len(l.Nodes) > 0:
		return Node{}, fmt.Errorf("key %q: holds nodes: want one key a line", short(l.Key))
	case (l.Key == "" || l.Key == "/") && l.Dir:
		return Node{}, nil
	case !strings.HasPrefix(l.Key, "/"):
		return Node{}, fmt.Errorf("key %q: want one that begins with /", short(l.Key))
	}
	return Node{Key: l.Key, Value: l.Value, Dir: l.Dir, Expires: l.expires(now)}, nil
}

func short(key string) string {
	if len(key) > 80 {
		return key[:80] + "…"
	}
	return key
}

func (l line) expires(now time.Time) time.Time {
	switch {
	case l.Expiration != nil:
		return *l.Expiration
	case l.TTL > math.MaxInt64/int64(time.Second):
		return now.Add(maxTTL)
	case l.TTL != 0:
		return now.Add(time.Duration(l.TTL) * time.Second)
	}
	return time.Time{}
}

// expiries are of the directories that have one: they come before what is below
// them.
type expiries map[string]time.Time

// inherit gives a node the nearest end of its own and the directories' above.
func (e expiries) inherit(n Node) Node {
	if len(e) > 0 {
		for above := n.Key; above != ""; above = above[:strings.LastIndexByte(above, '/')] {
			if end, ok := e[above]; ok && above != n.Key && (n.Expires.IsZero() || end.Before(n.Expires)) {
				n.Expires = end
			}
		}
	}
	if n.Dir && !n.Expires.IsZero() {
		e[n.Key] = n.Expires
	}
	return n
}
