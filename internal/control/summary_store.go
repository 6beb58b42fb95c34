package control

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// storeTrouble is that the store does not answer, and since when; empty: nobody
// says so. Who ships the raft log notices first, while there is something to ship;
// the keeper looks now and then. One that cannot ship is no trouble while another can.
func storeTrouble(reports []cluster.Report, keeper cluster.Report) string {
	var by cluster.Report
	for _, r := range reports {
		switch l := r.Log; {
		case l == nil || !l.Shipping || l.Hole:
		case l.Unable == "":
			return keeperOnStore(keeper)
		case by.Log == nil:
			by = r
		}
	}
	if by.Log == nil {
		return keeperOnStore(keeper)
	}
	since := by.Log.Failing
	if stored := by.Log.End.At; stored.After(since) && by.Log.End.Number > 0 && !since.IsZero() {
		since = stored
	}
	if since.IsZero() { // the store is not to blame
		return fmt.Sprintf("the raft log is not being stored: %s, as %s says", by.Log.Unable, by.Name)
	}
	return fmt.Sprintf("the store has not answered since %s: %s, as %s says", clock(since), by.Log.Unable, by.Name)
}

func keeperOnStore(k cluster.Report) string {
	if k.Care.Store == "" {
		return ""
	}
	return fmt.Sprintf("the store has not answered since %s: %s, as %s says", clock(k.Care.StoreSince), k.Care.Store, k.Name)
}

// clock is a time for people; it stays the same while the trouble does.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
