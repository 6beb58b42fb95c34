package plan

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// What explain says of each choice, in Explain's order.
func TestExplain(t *testing.T) { checkAs(t, explainRows(), askExplain) }

func askExplain(o Observation) string {
	d, all := Explain(o)
	if d.String() != Decide(o).String() {
		return "explains another decision: " + d.String()
	}
	var said []string
	for _, a := range all {
		s := a.Decision.Reason
		if a.Chosen {
			s = "*" + s
		}
		said = append(said, s)
	}
	return strings.Join(said, "; ")
}

func explainRows() map[string]row {
	return map[string]row{
		"a lone empty node":          {see(), "the disk holds no data of ours; no newer epoch than our data's is known; no charter is known; there is no charter; not enough empty peers answer to found; no quorum answers, and the ledger is unreadable; our etcd does not lead"},
		"founding":                   {see(empty("b", "c")), "the disk holds no data of ours; no newer epoch than our data's is known; no charter is known; there is no charter; *the ledger is empty, and enough empty peers answer; no quorum answers, and the ledger is unreadable; our etcd does not lead"},
		"a founder":                  {see(charter(1, "a", "b", "c")), "the disk holds no data of ours; no newer epoch than our data's is known; this node is a founder that has not started yet; *the charter names this node; charter 1 exists; a quorum of the last members may come back; our etcd does not lead"},
		"a lost founder":             {see(charter(1, "a", "b", "c"), mark("x")), "the disk holds no data of ours; no newer epoch than our data's is known; no agent beside a leader answers; this node has voted in this epoch, and that disk is lost: its identity is spent; charter 1 exists; a quorum of the last members may come back; our etcd does not lead"},
		"a leaving founder":          {see(charter(1, "a", "b", "c"), leaving), "the disk holds no data of ours; no newer epoch than our data's is known; no agent beside a leader answers; nothing proves that this founder has never voted; charter 1 exists; a quorum of the last members may come back; our etcd does not lead"},
		"a newcomer":                 {dee(leads("b", voter("b"), entry), invites("b", 9, "disk-d")), "the disk holds no data of ours; no newer epoch than our data's is known; *an entry awaits this disk; the charter does not name this node at this address; charter 1 exists; a quorum lives; our etcd does not lead"},
		"data":                       {see(data(1), charter(1, "a", "b", "c")), "*the data is usable; no newer epoch than our data's is known; the disk is not empty; the disk is not empty; charter 1 exists; the data that is here comes first; our etcd does not lead"},
		"data, no store":             {see(data(1), storeDown), "*the data is usable; no newer epoch than our data's is known; the disk is not empty; the ledger is unreadable; the ledger is unreadable: a charter may exist; the data that is here comes first; our etcd does not lead"},
		"old data":                   {see(data(1), charter(2, "b")), "the data is of an epoch that is over; *a newer epoch is in force; the disk is not empty; the disk is not empty; charter 2 exists; the data that is here comes first; our etcd does not lead"},
		"old data that still runs":   {house3(charter(2, "b")), "etcd runs already; *a newer epoch is in force; etcd runs already; etcd runs already; charter 2 exists; our etcd follows a leader; the data is of an epoch that is over"},
		"the seed of an epoch":       {see(data(1), charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")})), "the data is of an epoch that is over; *this disk seeds the new epoch; the disk is not empty; the disk is not empty; charter 2 exists; the data that is here comes first; our etcd does not lead"},
		"the keeper":                 {house3(), "etcd runs already; no newer epoch than our data's is known; etcd runs already; etcd runs already; charter 1 exists; our etcd follows a leader; *all is well"},
		"a survivor":                 {leftover(peers("a")), "etcd runs already; no newer epoch than our data's is known; etcd runs already; etcd runs already; charter 1 exists; *a majority is proven lost, and this survivor's log is the newest; our etcd does not lead"},
		"all lost":                   {fresh(), "the disk holds no data of ours; no newer epoch than our data's is known; no agent beside a leader answers; the charter does not name this node at this address; charter 1 exists; *every disk of the epoch is proven lost; our etcd does not lead"},
		"another cluster's old data": {see(data(1), charter(2, "b"), disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "the data belongs to another cluster; the data belongs to another cluster; the disk is not empty; the disk is not empty; charter 2 exists; the data belongs to another cluster; the data belongs to another cluster"},
		"another cluster's leader":   {house3(charter(2, "b"), disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "etcd runs already; the data belongs to another cluster; etcd runs already; etcd runs already; charter 2 exists; our etcd follows a leader; the data belongs to another cluster"},
		"an unread disk":             {see(unread), "the disk holds no data of ours; no newer epoch than our data's is known; the disk is not empty; there is no charter; the disk is not empty; the data directory is unread; our etcd does not lead"},
	}
}
