package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestOneRollHasOneNumber: people know a roll by its first entry's number, however
// many entries follow and whatever its end is.
func TestOneRollHasOneNumber(t *testing.T) {
	for _, end := range []RollState{RollDone, RollFailed, RollCancelled} {
		order := Roll{Number: 7, ID: "r", Nonce: "n7", State: RollOpen}
		hop := order.Next(RollOpen, "n8")
		last := hop.Next(end, "n9")
		for i, r := range []Roll{order, hop, last} {
			if r.FirstNumber() != 7 || r.Number != uint64(7+i) || r.ID != "r" || r.Nonce != fmt.Sprint("n", r.Number) {
				t.Errorf("entry %d of roll 7 is %+v, known as %d", 7+i, r, r.FirstNumber())
			}
		}
		if last.State != end || !hop.Open() || last.Open() {
			t.Errorf("states: %s, %s, want open, %s", hop.State, last.State, end)
		}
	}
}

// TestRollOfBefore: what earlier versions have written has no first number. It reads
// as ever, and what follows it keeps the number that people have seen.
func TestRollOfBefore(t *testing.T) {
	var r Roll
	if err := json.Unmarshal([]byte(`{"number": 4, "id": "r", "nonce": "n", "state": "open"}`), &r); err != nil {
		t.Fatal(err)
	}
	if next := r.Next(RollDone, "m"); r.FirstNumber() != 4 || next.Number != 5 || next.FirstNumber() != 4 {
		t.Errorf("%+v is roll %d, and goes on as %+v, roll %d", r, r.FirstNumber(), next, next.FirstNumber())
	}
	if none := (Roll{}).FirstNumber(); none != 0 {
		t.Errorf("no roll has the number %d", none)
	}
	raw, err := json.Marshal(Roll{Number: 1})
	if want := `"first"`; err != nil || strings.Contains(string(raw), want) {
		t.Errorf("the first entry is written as %s: %v", raw, err)
	}
}
