package registry

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Elsewhere is the record of a token whose cluster runs, and was founded by
// others than its registrations.
const Elsewhere = "-"

// Record is how a token keeps who founds: once, and for good. The first
// registrations are the founders only until machines are replaced; whoever
// counted them afterwards could found a second cluster beside one that is down.
func Record(founders []cluster.Founder) string {
	return cluster.Charter{Founders: founders}.InitialCluster()
}

// Founders reads a Record; of Elsewhere there are none.
func Founders(record string) ([]cluster.Founder, error) {
	if record == Elsewhere {
		return nil, nil
	}
	var out []cluster.Founder
	for _, pair := range strings.Split(record, ",") {
		p, err := Entry{Value: pair}.Peer()
		if err != nil {
			return nil, fmt.Errorf("the record of the founders: %w", err)
		}
		_, u, _ := strings.Cut(strings.TrimSpace(pair), "=")
		out = append(out, cluster.Founder{Name: p.Name, PeerURL: u})
	}
	return out, nil
}
