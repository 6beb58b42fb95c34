package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

func TestKindFor(t *testing.T) {
	for state, want := range map[types.StackStatus]string{
		"":                                               "CREATE",
		types.StackStatusReviewInProgress:                "CREATE",
		types.StackStatusCreateComplete:                  "UPDATE",
		types.StackStatusUpdateComplete:                  "UPDATE",
		types.StackStatusUpdateRollbackComplete:          "UPDATE",
		types.StackStatusImportComplete:                  "UPDATE",
		types.StackStatusRollbackComplete:                "quorate aws delete --stack s --regions r",
		types.StackStatusRollbackFailed:                  "quorate aws delete --stack s --regions r",
		types.StackStatusCreateFailed:                    "quorate aws delete --stack s --regions r",
		types.StackStatusDeleteFailed:                    "finish its deletion first",
		types.StackStatusUpdateRollbackFailed:            "continue-update-rollback",
		types.StackStatusDeleteInProgress:                "wait for it",
		types.StackStatusUpdateCompleteCleanupInProgress: "wait for it",
	} {
		kind, err := kindFor("s", "r", state)
		if err != nil {
			if kind != "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), string(state)) {
				t.Errorf("%s: %s, %v, want %s", state, kind, err, want)
			}
		} else if string(kind) != want {
			t.Errorf("%s: %s, want %s", state, kind, want)
		}
	}
}

func TestFirstFailureIsByTime(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	got := firstFailure([]Event{
		{ID: "a", Time: at(1), Status: "CREATE_FAILED", Reason: "Resource creation cancelled"},
		{ID: "b", Time: at(3), Status: "CREATE_FAILED", Reason: "later"},
		{ID: "c", Time: at(2), Status: "UPDATE_FAILED", Reason: "the cause"},
		{ID: "d", Time: at(0), Status: "ROLLBACK_FAILED", ofStack: true},
		{ID: "e", Time: at(1), Status: "UPDATE_FAILED", Reason: "Resource update cancelled"},
	})
	if got.ID != "c" {
		t.Errorf("first failure %+v", got)
	}
}

// A deletion ends well when all is gone; a deployment does not.
func TestVerdictKnowsWhatWasWanted(t *testing.T) {
	for _, c := range []struct {
		deletes bool
		status  string
		ended   bool
		good    bool
	}{
		{true, "DELETE_COMPLETE", true, true}, {false, "DELETE_COMPLETE", true, false},
		{false, "UPDATE_COMPLETE", true, true}, {true, "UPDATE_COMPLETE", true, false},
		{true, "DELETE_FAILED", true, false}, {false, "UPDATE_ROLLBACK_COMPLETE", true, false},
		{false, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", false, true},
	} {
		tl := tally{op: Operation{deletes: c.deletes}, events: []Event{{Status: c.status, ofStack: true}}}
		ended, err := tl.verdict("r")
		if ended != c.ended || (err == nil) != c.good {
			t.Errorf("%+v: ended %t, %v", c, ended, err)
		}
	}
	if ended, _ := (&tally{events: []Event{{Status: "CREATE_COMPLETE"}}}).verdict("r"); ended {
		t.Error("a resource's end is not the stack's")
	}
}

// A replaced resource is done only when its old self is gone too.
func TestTallyCounts(t *testing.T) {
	tl := tally{settled: map[string]bool{}, op: Operation{Total: 2}}
	var all []Event
	for i, want := range []int{0, 1, 1, 2, 1, 2} {
		e := []Event{{Resource: "A", Status: "CREATE_IN_PROGRESS"}, {Resource: "A", Status: "CREATE_COMPLETE"}, {Resource: "B", Status: "UPDATE_IN_PROGRESS"},
			{Resource: "B", Status: "UPDATE_COMPLETE"}, {Resource: "B", Status: "DELETE_IN_PROGRESS"}, {Resource: "B", Status: "DELETE_COMPLETE"}}[i]
		all = append(all, e)
		if p := tl.take(all); p.Done != want || len(p.New) != 1 || p.Last != e {
			t.Errorf("after %+v: %+v, want %d done", e, p, want)
		}
	}
}

func TestPoliciesReadYAMLAndJSON(t *testing.T) {
	for _, text := range []string{
		"Resources:\n  A: {Type: X, DeletionPolicy: Retain}\n  B: {Type: Y, Properties: {V: !Ref A, W: !Sub '${A}', L: !GetAtt [A, Arn]}}\n  C: {Type: Z, DeletionPolicy: Delete}\n  D: {Type: Z, DeletionPolicy: RetainExceptOnCreate}",
		`{"Resources": {"A": {"Type": "X", "DeletionPolicy": "Retain"}, "B": {"Type": "Y"}, "C": {"DeletionPolicy": "Delete"}, "D": {"DeletionPolicy": "RetainExceptOnCreate"}}}`,
	} {
		keep, err := policies(text)
		if err != nil || !keep["A"] || keep["B"] || keep["C"] || !keep["D"] {
			t.Errorf("%v, %v of %s", keep, err, text)
		}
	}
}

func TestBoard(t *testing.T) {
	e := Event{Time: time.Unix(0, 0).UTC(), Resource: "Group", Type: "T", Status: "CREATE_FAILED", Reason: "two\nlines"}
	var plain strings.Builder
	b := NewBoard(&plain, 0, "a", "b")
	b.Show("a", Progress{New: []Event{e, e}, Last: e, Done: 1, Total: 3})
	b.say("a", Progress{Last: e, Done: 1, Total: 3}, time.Now().Add(quiet))
	b.say("a", Progress{Last: e, Done: 1, Total: 3}, time.Now().Add(quiet))
	if got := plain.String(); strings.Count(got, "00:00:00  a  CREATE_FAILED T Group: two") != 2 || strings.Count(got, "still at it: 1/3 resources") != 1 {
		t.Errorf("plain:\n%s", got)
	}
	var tty strings.Builder
	b = NewBoard(&tty, 40, "a", "b")
	b.Show("b", Progress{Last: e, Done: 1, Total: 3})
	b.Show("a", Progress{Last: e})
	lines := strings.Split(strings.TrimSuffix(tty.String(), "\n"), "\n")
	if len(lines) != 4 || strings.Count(tty.String(), "\x1b[2A") != 1 || !strings.Contains(lines[1], "b 1/3 resources 0s CREATE_FAILED") {
		t.Errorf("terminal: %q", lines)
	}
	for _, l := range lines {
		if n := len(l) - strings.Count(l, "\x1b[")*4 - 1; n >= 41 {
			t.Errorf("%d cells on a line of 40: %q", n, l)
		}
	}
}
