package plan

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

func TestRetainLog(t *testing.T) { checkAs(t, retainLogRows(), askRetainLog) }

// stock is what RetainLog is asked about.
type stock struct {
	backups []cluster.Backup
	last    int
	proven  string
}

func askRetainLog(s stock) string {
	r := RetainLog(s.backups, Retention{Last: s.last}, s.proven)
	return fmt.Sprint(r.From, " ", r.Drop)
}

func retainLogRows() map[string]rowOf[stock] {
	at := func(key string, epoch cluster.Epoch, index uint64) cluster.Backup {
		return cluster.Backup{Key: key, Epoch: epoch, Revision: int64(index), Index: index}
	}
	all := []cluster.Backup{at("a", 1, 10), at("b", 1, 20), at("c", 2, 5), at("d", 2, 15), at("e", 2, 25)}
	// Nobody writes, and etcd's log grows all the same; the clock went back between the two.
	idle := []cluster.Backup{{Key: "f", Epoch: 1, Revision: 9, Index: 20, At: noon}, {Key: "g", Epoch: 1, Revision: 9, Index: 25, At: noon.Add(-time.Hour)}}
	return map[string]rowOf[stock]{
		"nothing is known":              {stock{last: 1}, "map[] 0"},
		"from the newest on":            {stock{backups: all, last: 1}, "map[1:20 2:25] 1"},
		"from the last two on":          {stock{backups: all, last: 2}, "map[1:20 2:15] 1"},
		"from the proven on":            {stock{backups: all, last: 1, proven: "c"}, "map[1:20 2:5] 1"},
		"from an older epoch's proven":  {stock{backups: all, last: 1, proven: "a"}, "map[1:10 2:25] 1"},
		"of epochs without one nothing": {stock{backups: all[2:], last: 1}, "map[2:25] 2"},
		"no policy":                     {stock{backups: all}, "map[1:20 2:25] 1"},
		"from the earlier of two of one revision, dated the later": {stock{backups: idle, last: 2}, "map[1:20] 1"},
	}
}

// Whatever goes, the newest and the proven backup keep all of the log after
// them; and the log is kept by what Retain keeps, whatever the clock says.
func TestRetainLogProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawBackups(t)
		if len(all) == 0 {
			return
		}
		for i := range all {
			all[i].Index = rapid.Uint64Range(0, 9).Draw(t, "index")
		}
		policy := Retention{Last: rapid.IntRange(-1, 5).Draw(t, "last"), Hourly: rapid.IntRange(-1, 3).Draw(t, "hourly")}
		proven := all[rapid.IntRange(0, len(all)-1).Draw(t, "proven")]
		kept := without(all, Retain(all, policy, drawTime(t, "now"), proven.Key))
		log := RetainLog(kept, policy, proven.Key)
		for _, b := range []cluster.Backup{newest(all), proven} {
			if from, ok := log.From[b.Epoch]; !ok || from > b.Index || b.Epoch < log.Drop {
				t.Fatalf("backup %+v stays, and its log is cut: %+v", b, log)
			}
		}
	})
}
