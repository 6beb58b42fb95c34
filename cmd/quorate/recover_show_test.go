package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// TestRecoverShowsWhatIsPassedOver: before a word for an empty cluster, each disk is
// told that it leaves behind, whatever else there is to restore.
func TestRecoverShowsWhatIsPassedOver(t *testing.T) {
	b := cluster.Backup{Key: "backups/k.json", Epoch: 1, Revision: 7}
	passed := []plan.Passed{
		{Name: "a", Disk: cluster.Disk{State: cluster.DiskData, Term: 3, Index: 40, Stamp: &cluster.Stamp{Epoch: 1}}},
		{Name: "b", Disk: cluster.Disk{Aside: []string{"epoch-1-x"}}, GivenUp: true},
	}
	const holds, givenUp = "a answers, and its disk holds data of epoch 1 (term 3 index 40): to pass it over say --give-up a.", "b answers, and its disk holds data set aside (epoch-1-x): you give it up."
	const nothing, loses = "c is given up, and no data is known to be on its disk.", "The store lists 1 backups"
	survivor := []plan.Stake{{Name: "d", Holds: true}}
	for name, row := range map[string]struct {
		c     recoverCmd
		s     plan.Stakes
		wants []string
		lacks []string
	}{
		"no backup is known":   {recoverCmd{Empty: true, GiveUp: []string{"b", "c"}}, plan.Stakes{}, []string{holds, givenUp, nothing, loses, "EMPTY"}, nil},
		"a backup is restored": {recoverCmd{Empty: true, GiveUp: []string{"b"}}, plan.Stakes{Backup: cluster.Known(b)}, []string{holds, givenUp}, []string{nothing, loses}},
		"a backup is named":    {recoverCmd{Empty: true, Backup: b.Key}, plan.Stakes{}, []string{holds, givenUp, b.Key}, []string{loses}},
		"a disk survives":      {recoverCmd{Empty: true}, plan.Stakes{Members: survivor}, nil, []string{holds, givenUp, loses}},
		"it is not for empty":  {recoverCmd{Lost: []string{"d"}}, plan.Stakes{}, nil, []string{holds, givenUp, loses}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			row.s.Epoch, row.s.Passed = 2, passed
			row.c.show(&out, row.s, time.Now(), []cluster.Backup{b})
			for _, want := range row.wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it lacks %q:\n%s", want, out.String())
				}
			}
			for _, not := range row.lacks {
				if strings.Contains(out.String(), not) {
					t.Errorf("it tells %q:\n%s", not, out.String())
				}
			}
		})
	}
}

// TestRecoverUnlisted: a backup that the store does not hold is refused; where nobody
// can say, the agent judges.
func TestRecoverUnlisted(t *testing.T) {
	there := []cluster.Backup{{Key: "backups/k.json"}}
	for name, row := range map[string]struct {
		key     string
		listed  []cluster.Backup
		err     error
		refused bool
	}{
		"none is named":         {"", nil, nil, false},
		"it is there":           {"backups/k.json", there, nil, false},
		"it is not":             {"backups/x.json", there, nil, true},
		"there are none":        {"backups/x.json", nil, nil, true},
		"there is no store":     {"backups/x.json", nil, control.ErrRefused, true},
		"the store is not read": {"backups/x.json", nil, errors.New("no answer"), false},
	} {
		if err := (&recoverCmd{Backup: row.key}).unlisted(row.listed, row.err); errors.Is(err, control.ErrRefused) != row.refused || (err != nil) != row.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
