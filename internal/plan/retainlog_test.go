package plan

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

func TestRetainLog(t *testing.T) {
	at := func(key string, epoch cluster.Epoch, index uint64) cluster.Backup {
		return cluster.Backup{Key: key, Epoch: epoch, Revision: int64(index), Index: index}
	}
	all := []cluster.Backup{at("a", 1, 10), at("b", 1, 20), at("c", 2, 5), at("d", 2, 15), at("e", 2, 25)}
	tests := map[string]struct {
		backups []cluster.Backup
		last    int
		proven  string
		want    string
	}{
		"nothing is known":              {last: 1, want: "map[] 0"},
		"from the newest on":            {backups: all, last: 1, want: "map[1:20 2:25] 1"},
		"from the last two on":          {backups: all, last: 2, want: "map[1:20 2:15] 1"},
		"from the proven on":            {backups: all, last: 1, proven: "c", want: "map[1:20 2:5] 1"},
		"from an older epoch's proven":  {backups: all, last: 1, proven: "a", want: "map[1:10 2:25] 1"},
		"of epochs without one nothing": {backups: all[2:], last: 1, want: "map[2:25] 2"},
		"no policy":                     {backups: all, want: "map[1:20 2:25] 1"},
	}
	for name, tt := range tests {
		got := RetainLog(tt.backups, Retention{Last: tt.last}, tt.proven)
		if s := fmt.Sprint(got.From, " ", got.Drop); s != tt.want {
			t.Errorf("%s: %s, want %s", name, s, tt.want)
		}
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
