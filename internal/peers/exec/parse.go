package exec

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/file"
)

// group is what a program may print instead of a list.
type group struct {
	Authoritative bool            `json:"authoritative"`
	Size          int             `json:"size"`
	Peers         json.RawMessage `json:"peers"`
}

// parse is strict: all of it, or an error with every problem.
func parse(out []byte, ports entry.Ports) (cluster.View, error) {
	g := group{Peers: out}
	if text := bytes.TrimSpace(out); len(text) > 0 && text[0] == '{' {
		g.Peers = nil
		if err := file.Strict(out, &g); err != nil {
			return cluster.View{}, err
		}
	}
	if g.Size < 0 || g.Size > 1000 {
		return cluster.View{}, fmt.Errorf("size %d: want a number of voters, or 0 for unknown", g.Size)
	}
	peers, err := file.FromJSON(g.Peers, ports)
	if err != nil {
		return cluster.View{}, err
	}
	return cluster.View{Peers: peers, Authoritative: g.Authoritative, Size: g.Size}, nil
}
