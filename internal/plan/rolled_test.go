package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

func TestRollStale(t *testing.T) { checkAs(t, rollStaleRows(), askStale) }

// askStale is why our etcd is to restart, for which entry, and how a start of it
// on data counts; then the order of the turns.
func askStale(o Observation) string {
	s := RollStale(o)
	v, n := o.startsFor()
	return strings.TrimSpace(fmt.Sprintf("%s %d; %s %d %d; %s", s.Why, s.Roll, v, n, o.joinsFor(), strings.Join(RollOrder(o), "<")))
}

func rollStaleRows() map[string]row {
	restart := ordered(cluster.RollRestart, cluster.Version{}, cluster.Version{})
	up := ordered(cluster.RollUpgrade, v36, v37)
	down := ordered(cluster.RollDowngrade, v36, v36)
	see := func(opts ...opt) Observation { return house3(append([]opt{run("a", v35)}, opts...)...) }
	epoch := func(n cluster.Epoch) opt {
		return func(o *Observation) {
			r := o.Ledger.Roll.Value()
			r.Epoch = n
			o.Ledger.Roll = cluster.Known(r)
		}
	}
	turn := func(o *Observation) { o.Process.Rolled.Turn = 4 }
	const none = "0; 0.0.0 0 0; b<c<a"
	return map[string]row{
		"no roll":                          {see(), none},
		"unread":                           {see(unknownRoll), none},
		"a restart":                        {see(restart), "roll 4 4; 0.0.0 4 4; b<c<a"},
		"a restart, ordered as roll 2":     {see(restart, orderedAs(2)), "roll 2 4; 0.0.0 4 4; b<c<a"},
		"a restart, done here":             {see(restart, rolled("a", 4)), "0; 0.0.0 4 4; b<c<a"},
		"a restart, failed here":           {see(restart, failedAt("a", 4)), "0; 0.0.0 4 4; b<c<a"},
		"a restart, the last failed here":  {see(restart, failedAt("a", 3)), "roll 4 4; 0.0.0 4 4; b<c<a"},
		"a restart, cancelled":             {see(restart, cancelled), none},
		"a restart, of an epoch before":    {see(restart, epoch(0)), none},
		"an order":                         {see(ordered(cluster.RollUpgrade, cluster.Version{}, v37)), none},
		"an order to go down":              {see(ordered(cluster.RollDowngrade, cluster.Version{}, v35)), none},
		"a hop":                            {see(up), "roll 4 4; 0.0.0 0 0; b<c<a"},
		"a hop, of an epoch before":        {see(up, epoch(0), turn), none},
		"an order, its turn":               {see(ordered(cluster.RollUpgrade, cluster.Version{}, v37), turn), none},
		"a restart, our etcd is silent":    {see(restart, etcdOf("a", func(e *cluster.EtcdState) { e.Version = "" })), "roll 4 4; 0.0.0 4 4; b<c<a"},
		"we know no leader":                {see(unknownEtcd), "0; 0.0.0 0 0; a<b<c"},
		"a hop, its turn":                  {see(up, turn), "roll 4 4; 3.6.14 4 0; b<c<a"},
		"a hop, the turn of another":       {see(up, func(o *Observation) { o.Process.Rolled.Turn = 3 }), "roll 4 4; 0.0.0 0 0; b<c<a"},
		"a hop, begun":                     {see(up, func(o *Observation) { o.Process.Rolled.Number = 4 }), "roll 4 4; 3.6.14 4 0; b<c<a"},
		"a hop, up":                        {see(up, rolled("a", 4), run("a", v36)), none},
		"a hop, reached otherwise":         {see(up, run("a", v36)), none},
		"a hop, beyond it":                 {see(up, run("a", v37)), none},
		"a hop, another patch":             {see(up, run("a", cluster.Version{Major: 3, Minor: 6, Patch: 15})), "roll 4 4; 0.0.0 0 0; b<c<a"},
		"a hop, what runs is not known":    {see(up, etcdOf("a", func(e *cluster.EtcdState) { e.Version = "" })), none},
		"a hop, failed here":               {see(up, failedAt("a", 4)), "0; 0.0.0 0 0; b<c<a"},
		"a hop, failed after it was begun": {see(up, failedAt("a", 4), func(o *Observation) { o.Process.Rolled.Number = 4 }), none},
		"down":                             {see(down, run("a", v37)), "roll 4 4; 0.0.0 0 0; b<c<a"},
		"down, there":                      {see(down, run("a", v36)), none},
	}
}
