package clustertest

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// source is the environment's list of machines.
type source struct {
	authoritative bool
	down          bool
	lag           time.Duration // how old the answers are
	static        []cluster.Peer
	history       []snapshotOfSource
}

type snapshotOfSource struct {
	at    time.Duration
	peers []cluster.Peer
}

// record notes what the environment knows now; answers may come from the past.
func (w *World) recordSource() {
	peers := w.source.static
	if w.source.authoritative {
		peers = w.listMachines()
	}
	w.source.history = append(w.source.history, snapshotOfSource{w.now, peers})
}

// listMachines names every machine that is there or has gone lately, each name
// once.
func (w *World) listMachines() []cluster.Peer {
	var out []cluster.Peer
	for _, m := range w.live {
		out = append(out, m.peer())
	}
	cluster.SortPeers(out)
	return out
}

func (m *machine) peer() cluster.Peer {
	return cluster.Peer{ID: m.id, Name: m.name, Host: m.host, Zone: m.zone, State: m.state, Held: m.held, Launched: m.launched,
		ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

// view is one answer of the source to m.
func (w *World) view(m *machine) cluster.Fact[cluster.View] {
	if w.source.down || w.chance(w.faults.sourceFail) || len(w.source.history) == 0 {
		return cluster.Unknown[cluster.View]()
	}
	then := w.now - w.source.lag
	at := 0
	for i, s := range w.source.history {
		if s.at <= then {
			at = i
		}
	}
	v := cluster.View{Peers: w.source.history[at].peers, Authoritative: w.source.authoritative}
	if m.seesLess && len(v.Peers) > 1 {
		v.Peers = v.Peers[:len(v.Peers)-1]
	}
	return cluster.Known(v)
}
