package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// The story, by the simulator: a learner was cut off before its first entry,
// and then a majority was lost. It held nothing, and everybody waited for it.
func TestNeverReceivedAnEntry(t *testing.T) {
	blank := disk(func(d *cluster.Disk) { d.Term, d.Index = 0, 0 })
	check(t, map[string]row{
		"its own etcd":   {see(data(1), charter(1, "a", "b", "c"), checkpoint(voters("a", "b", "c")...), leaderless, blank), "recover: this disk has never received an entry: it makes room: StopEtcd{}, SetDataAside{unused}"},
		"one not ours":   {see(data(1), charter(1, "a", "b", "c"), checkpoint(voters("a", "b", "c")...), leaderless, foreign, blank), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"it has entries": {see(data(1), charter(1, "a", "b", "c"), checkpoint(voters("a", "b", "c")...), leaderless), "wait: a quorum of the last members may come back (waiting for b c)"},
	})
}
