package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

func TestStakes(t *testing.T) { checkAs(t, stakesRows(), askStakes) }

// askStakes prints what hangs on giving b and c up.
func askStakes(o Observation) string {
	s := AtStake(o, cluster.Verdict{Lost: []string{"b", "c"}})
	var out []string
	for _, m := range s.Members {
		out = append(out, fmt.Sprintf("%s holds %v lost %v learner %v %d/%d", m.Name, m.Holds, m.Lost, m.Learner, m.Term, m.Index))
	}
	newest, any := s.Newest()
	backup := s.Backup.Value().Key
	if s.Backup.Unknown() {
		backup = "unread"
	}
	if s.Lives {
		return "a quorum lives"
	}
	return fmt.Sprintf("epoch %d: %s; newest %s %v; backup %s; %s %v", s.Epoch, strings.Join(out, ", "), newest.Name, any, backup, s.Then.Verb, o.Ledger.Verdict.Known())
}

func stakesRows() map[string]row {
	return map[string]row{
		"one survivor":             {leftover(), "epoch 1: a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest a true; backup k1; recover false"},
		"another's log is newer":   {leftover(checkpoint(of(voters("a", "b", "c"), learner("d"))...), peers("a"), holds("d", 1, 6, 1)), "epoch 1: d holds true lost false learner true 6/1, a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest d true; backup k1; wait false"},
		"and one of equal term":    {leftover(checkpoint(of(voters("a", "b", "c"), learner("d"))...), holds("d", 1, 5, 101)), "epoch 1: d holds true lost false learner true 5/101, a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest d true; backup k1; wait false"},
		"and one of an older term": {leftover(checkpoint(of(voters("a", "b", "c"), learner("d"))...), holds("d", 1, 4, 999)), "epoch 1: a holds true lost false learner false 5/100, d holds true lost false learner true 4/999, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest a true; backup k1; recover false"},
		"one is silent":            {leftover(checkpoint(voters("a", "b", "c", "d")...), unknownBackup), "epoch 1: a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0, d holds false lost true learner false 0/0; newest a true; backup unread; wait false"},
		"one that is lost holds":   {leftover(holds("b", 1, 4, 9)), "epoch 1: a holds true lost false learner false 5/100, b holds true lost true learner false 4/9, c holds false lost true learner false 0/0; newest a true; backup k1; recover false"},
		"silent, in the source":    {leftover(peers("a", "d"), checkpoint(voters("a", "b", "c", "d")...)), "epoch 1: a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0, d holds false lost false learner false 0/0; newest a true; backup k1; wait false"},
		"a backup of older times":  {leftover(charter(2, "a", "b", "c"), data(2), checkpoint(voters("a", "b", "c")...)), "epoch 2: a holds true lost false learner false 5/100, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest a true; backup ; recover false"},
		"nobody holds anything":    {fresh(), "epoch 1: a holds false lost true learner false 0/0, b holds false lost true learner false 0/0, c holds false lost true learner false 0/0; newest  false; backup k1; recover false"},
		"another leads":            {leftover(leads("b", voters("a", "b", "c")...)), "a quorum lives"},
		"we follow":                {leftover(following), "a quorum lives"},
		"another follows":          {leftover(well("b")), "a quorum lives"},
		"we lead":                  {house3(), "a quorum lives"},
		"nobody is known":          {see(), "epoch 0: ; newest  false; backup ; wait false"},
	}
}
