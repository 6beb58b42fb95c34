package etcd

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// TestAlarms: as etcd 3.4 to 3.7 print them among other errors.
func TestAlarms(t *testing.T) {
	got := alarms([]string{"etcdserver: no leader", "memberID:10276657743932975437 alarm:NOSPACE ", "memberID:12  alarm:CORRUPT", "alarm:CORRUPT "})
	want := []cluster.Alarm{{Member: 0x8e9e05c52164694d, Kind: cluster.NoSpace}, {Member: 12, Kind: cluster.Corrupt}, {Kind: cluster.Corrupt}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
