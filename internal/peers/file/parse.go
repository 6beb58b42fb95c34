package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// item is an entry as the file has it; a pointer tells "not there" from zero.
type item struct {
	ID         string  `yaml:"id" json:"id"`
	Name       string  `yaml:"name" json:"name"`
	Host       string  `yaml:"host" json:"host"`
	Zone       string  `yaml:"zone" json:"zone"`
	Region     string  `yaml:"region" json:"region"`
	State      *string `yaml:"state" json:"state"`
	Launched   *string `yaml:"launched" json:"launched"`
	ClientPort *int    `yaml:"client_port" json:"client_port"`
	PeerPort   *int    `yaml:"peer_port" json:"peer_port"`
	AgentPort  *int    `yaml:"agent_port" json:"agent_port"`
}

// parse is strict: all of the entries, or an error with every problem.
func parse(data []byte, ports entry.Ports) ([]cluster.Peer, error) {
	items, err := decode(data)
	if err != nil {
		return nil, err
	}
	return peersOf(items, ports)
}

func peersOf(items []*item, ports entry.Ports) ([]cluster.Peer, error) {
	if len(items) == 0 {
		return nil, errors.New("no entry in it")
	}
	var peers []cluster.Peer
	var problems []error
	for i, it := range items {
		if it == nil {
			problems = append(problems, fmt.Errorf("entry %d: empty", i+1))
			continue
		}
		p, err := it.peer(ports)
		if err != nil {
			problems = append(problems, fmt.Errorf("entry %d (%s): %w", i+1, it.Name, err))
			continue
		}
		peers = append(peers, p)
	}
	if err := errors.Join(append(problems, entry.Unique(peers))...); err != nil {
		return nil, err
	}
	cluster.SortPeers(peers)
	return peers, nil
}

// decode takes exactly one document. A parser that panics on what it reads is
// one more way not to know.
func decode(data []byte) (items []*item, err error) {
	defer func() {
		if r := recover(); r != nil {
			items, err = nil, fmt.Errorf("parsing YAML: %v", r)
		}
	}()
	if err := whole(data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&items); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("empty")
		}
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return items, nil
}

// whole refuses a last line without its end: of "host: 10.0.0.12", a writer
// may so far have written 10.0.0.1. A list in brackets ends by itself.
func whole(data []byte) error {
	switch text := bytes.TrimRight(data, " \t"); {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("empty")
	case bytes.IndexByte(text, 0) >= 0:
		return errors.New("a zero byte in it: half written?")
	}
	return nil
}
