package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestClaim(t *testing.T) { checkAs(t, claimRows(), askClaim) }

func askClaim(o Observation) string { return fmt.Sprintf("%+v", Claim(o)) }

func claimRows() map[string]row {
	abc := voters("a", "b", "c")
	fromBackup := seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"})
	return map[string]row{
		"nothing is known":                        {Observation{}, "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"an empty disk, no charter":               {see(), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a founder that may start":                {see(charter(1, "a", "b", "c")), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a founder whose mark is unread":          {see(charter(1, "a", "b", "c"), unknownMark, checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a founder that has lost its disk":        {see(charter(1, "a", "b", "c"), mark("x"), checkpoint(abc...)), "{Lost:1 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a founder, wiped beside a kept disk id":  {see(charter(1, "a", "b", "c"), spent("e1"), checkpoint(abc...)), "{Lost:1 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a founder whose etcd is starting":        {see(charter(1, "a", "b", "c"), spent("e1"), running), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"}, // five starting founders were once proven lost
		"a founder, its own unstarted entry":      {see(charter(1, "a", "b", "c"), checkpoint(unpublished("a"), voter("b"))), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a founder that leaves says nothing":      {see(charter(1, "a", "b", "c"), leaving, checkpoint(unpublished("a"), voter("b"))), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a founder, a started entry":              {see(charter(1, "a", "b", "c"), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a founder, a learner of a lost disk":     {see(charter(1, "a", "b", "c"), checkpoint(voter("b"), unstarted(learner("a")))), "{Lost:0 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a founder whose seed fails":              {see(charter(2, "a", "b", "c"), fromBackup, seedFails(3)), "{Lost:0 SeedFailed:2 Disowns:[] Joining:true Moved:false}"},
		"a founder whose seed has failed twice":   {see(charter(2, "a", "b", "c"), fromBackup, seedFails(2)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a founder whose seed failed, then not":   {see(charter(2, "a", "b", "c"), fromBackup, seedFails(3), staged(2)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"its seed is staged, and not started yet": {see(charter(2, "a", "b", "c"), fromBackup, staged(2), checkpoint(voter("b"), unpublished("a"))), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		// It has been replaced while it restored, and came in by another entry.
		"its seed is staged, and it is listed as another":     {see(charter(2, "a", "b", "c"), fromBackup, staged(2), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"a seed is staged of an epoch that is over":           {see(charter(3, "a", "b", "c"), fromBackup, staged(2), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"that, and its founder's entry awaits it":             {see(charter(3, "a", "b", "c"), fromBackup, staged(2), checkpoint(voter("b"), unpublished("a"))), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer whose etcd has just ended lets others in": {dee(func(o *Observation) { o.Process.NotBefore = o.Now.Add(time.Second) }), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"and asks again":                          {dee(func(o *Observation) { o.Process.NotBefore = o.Now }), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"its seed fails, and it has an entry":     {see(charter(2, "a", "b", "c"), fromBackup, seedFails(3), checkpoint(unpublished("a"))), "{Lost:0 SeedFailed:2 Disowns:[a] Joining:true Moved:false}"},
		"a newcomer":                              {dee(), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"a newcomer that leaves":                  {dee(leaving), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer by preparation":               {dee(strategy(cluster.JoinPrepared)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer that dies":                    {dee(state("d", cluster.Terminating)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer that the source lacks":        {dee(peers("a")), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer that a list lacks":            {dee(peers("a"), listOnly), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"a newcomer, no source":                   {dee(sourceDown), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer, no ledger":                   {dee(storeDown), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer that runs":                    {dee(running, checkpoint(voters("d")...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer with an invitation":           {dee(leads("b", voter("b"), entry), invites("b", 9, "disk-d")), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"a newcomer with another's invitation":    {dee(leads("b", voter("b"), entry), invites("b", 9, "disk-x")), "{Lost:0 SeedFailed:0 Disowns:[9] Joining:true Moved:false}"},
		"a newcomer with a spent invitation":      {dee(leads("b", voter("b"), entry), invites("b", 9, "disk-d"), spent("9")), "{Lost:0 SeedFailed:0 Disowns:[9] Joining:true Moved:false}"},
		"a newcomer, and a dead member's address": {dee(checkpoint(voter("b"), voter("d"))), "{Lost:0 SeedFailed:0 Disowns:[d] Joining:true Moved:false}"},
		"a newcomer, and an entry without an id":  {dee(checkpoint(cluster.Member{PeerURLs: []string{at("d")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"an unread disk":                          {dee(unread, checkpoint(voters("d")...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"data, its own entry":                     {see(data(1), charter(1, "a"), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"data, an older entry too":                {see(data(1), charter(1, "a"), checkpoint(voter("a"), cluster.Member{ID: 9, Name: "a", PeerURLs: []string{at("a")}})), "{Lost:0 SeedFailed:0 Disowns:[9] Joining:false Moved:false}"},
		"data of a swapped disk":                  {see(data(1), disk(func(d *cluster.Disk) { d.Stamp.Name, d.MemberID = "b", id("b") }), charter(1, "a"), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:true}"},
		"data without a stamp":                    {see(unstamped, disk(func(d *cluster.Disk) { d.MemberID = 9 }), charter(1, "a"), checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"data, while a seed is staged":            {see(data(1), staged(2), charter(1, "a"), checkpoint(cluster.Member{ID: 9, PeerURLs: []string{at("a")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"data, at another address":                {see(data(1), charter(1, "a"), checkpoint(cluster.Member{ID: id("a"), Name: "a", PeerURLs: []string{at("x")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:true}"},
		"data, its entry is gone":                 {see(data(1), charter(1, "a"), checkpoint(voters("b")...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"the keeper's own list counts first":      {house3(checkpoint(cluster.Member{ID: 9, PeerURLs: []string{at("a")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
	}
}
