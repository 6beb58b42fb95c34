package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

func TestShutdown(t *testing.T) { checkAs(t, shutdownRows(), askShutdown) }

func askShutdown(o Observation) string { return Shutdown(o).String() }

func shutdownRows() map[string]row {
	return map[string]row{
		"nothing runs":             {see(), "wait: no etcd of ours runs"},
		"not ours":                 {house3(foreign), "wait: no etcd of ours runs"},
		"another cluster's":        {house3(disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "wait: no etcd of ours runs"},
		"a follower":               {see(data(1), following), "stop: this agent was told to end: StopEtcd{}"},
		"the leader":               {house3(), "stop: this agent was told to end: TransferLeadership{b}, StopEtcd{}"},
		"a leader without its own": {house3(func(o *Observation) { o.Members = cluster.Unknown[[]cluster.Member]() }), "stop: this agent was told to end: StopEtcd{}"},
		"a lone voter":             {see(keeping(voters("a")...)), "stop: this agent was told to end: StopEtcd{}"},
		"a leader, nobody well":    {house3(down("b", 0), down("c", 0)), "stop: this agent was told to end: StopEtcd{}"},
		"the most caught-up":       {house3(probe("b", lagging)), "stop: this agent was told to end: TransferLeadership{c}, StopEtcd{}"}, // TRAPS 2, 23
		"a lost disk leads nobody": {house3(probe("b", func(_ *Observation, p *Probe) { p.Healthy = false }), probe("c", lagging)), "stop: this agent was told to end: TransferLeadership{c}, StopEtcd{}"},
	}
}
