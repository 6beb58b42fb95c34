package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestSummaryOfTheLog: the status tells the furthest end that anybody knows.
func TestSummaryOfTheLog(t *testing.T) {
	of := func(ends ...cluster.LogEnd) *cluster.LogEnd {
		reports := []cluster.Report{{Cluster: "c", Name: "x"}}
		for _, e := range ends {
			reports = append(reports, cluster.Report{Cluster: "c", Log: &cluster.LogReport{End: e}})
		}
		return Summarize("c", 3, reports, nil, time.Now()).Log
	}
	if got := of(cluster.LogEnd{Epoch: 1, Chain: 1}); got != nil {
		t.Errorf("nothing is stored, and it tells %v", got)
	}
	old, far := cluster.LogEnd{Epoch: 1, Chain: 1, Number: 9}, cluster.LogEnd{Epoch: 1, Chain: 2, Number: 3}
	if got := of(old, far, old); got == nil || *got != far {
		t.Errorf("got %v, want %v", got, far)
	}
}
