package plan

import "testing"

func TestNeverReceivedAnEntry(t *testing.T) { check(t, neverRows()) }

// Two stories, by the simulator. A learner was cut off before its first entry,
// and then a majority was lost: it held nothing, and everybody waited for it.
// Another was about to make room when its leader came back (seed 99418): the
// first entries arrived between the decision and the end of its etcd, and were
// set aside.
func neverRows() map[string]row {
	abc := checkpoint(voters("a", "b", "c")...)
	return map[string]row{
		"its own etcd":                       {see(data(1), charter(1, "a", "b", "c"), abc, leaderless, blank), "recover: this disk has never received an entry: its etcd ends first: StopEtcd{}"},
		"its etcd has ended":                 {see(data(1), charter(1, "a", "b", "c"), abc, blank), "recover: this disk has never received an entry: it makes room: SetDataAside{unused}"},
		"its etcd has ended, entries came":   {see(data(1), charter(1, "a", "b", "c"), abc), "start: the data is usable: StartEtcd{resume}"},
		"its etcd has ended, a quorum lives": {see(data(1), charter(1, "a", "b", "c"), abc, blank, leads("b", voters("a", "b", "c")...)), "start: the data is usable: StartEtcd{resume}"},
		"its agent has just started":         {see(data(1), charter(1, "a", "b", "c"), abc, blank, justStarted), "start: the data is usable: StartEtcd{resume}"},
		"one not ours":                       {see(data(1), charter(1, "a", "b", "c"), abc, leaderless, foreign, blank), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"it has entries":                     {see(data(1), charter(1, "a", "b", "c"), abc, leaderless), "wait: a quorum of the last members may come back (waiting for b c)"},
	}
}

// blank is data before its first entry.
func blank(o *Observation) { o.Disk.Term, o.Disk.Index = 0, 0 }
