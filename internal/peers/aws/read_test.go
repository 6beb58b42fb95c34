package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// one is a group of one instance that is otherwise well, as AWS may tell it.
func one(lifecycle, state, address string) answer {
	a := answer{region: "r", groups: []group{{"g", 1}}, places: map[string]membership{}, machines: map[string]instance{
		"i-well": {state: "running", private: "10.0.0.9", launched: time.Unix(1, 0)}}}
	if lifecycle != "" {
		a.places["i-1"] = membership{group: "g", zone: "z", lifecycle: lifecycle}
	}
	if state != "" {
		a.machines["i-1"] = instance{state: state, private: address, launched: time.Unix(2, 0)}
	}
	return a
}

// What the two APIs say, and what a peer becomes of it.
func TestOneInstance(t *testing.T) {
	for _, c := range []struct{ lifecycle, state, address, want string }{
		{"Pending", "pending", "10.0.0.1", "pending"},
		{"Pending:Wait", "running", "10.0.0.1", "pending held"},
		{"Pending:Proceed", "running", "10.0.0.1", "pending"},
		{"Pending", "", "", "none"},
		{"Pending", "pending", "", "none"},
		{"Pending:Wait", "shutting-down", "10.0.0.1", "terminating held"},
		{"InService", "running", "10.0.0.1", "running"},
		{"InService", "pending", "10.0.0.1", "running"},
		{"InService", "stopped", "10.0.0.1", "running"},
		{"InService", "stopping", "10.0.0.1", "running"},
		{"InService", "shutting-down", "10.0.0.1", "terminating"},
		{"InService", "shutting-down", "", "none"},
		{"InService", "terminated", "", "none"},
		{"InService", "terminated", "10.0.0.1", "none"}, // EC2 may still tell the address
		{"InService", "running", "", "running, and it has no private address"},
		{"InService", "stopped", "", "stopped, and it has no private address"},
		{"InService", "", "", "its group has it InService, and EC2 does not know it"},
		{"Standby", "", "", "its group has it Standby, and EC2 does not know it"},
		{"Standby", "running", "10.0.0.1", "running"},
		{"EnteringStandby", "running", "10.0.0.1", "running"},
		{"ReplacingRootVolume:Wait", "running", "10.0.0.1", "running"},
		{"Terminating", "running", "10.0.0.1", "terminating"},
		{"Terminating:Wait", "running", "10.0.0.1", "terminating held"},
		{"Terminating:Wait", "running", "", "running, and it has no private address"},
		{"Terminating:Proceed", "running", "10.0.0.1", "terminating"},
		{"Terminating", "", "", "none"},
		{"Terminating:Wait", "terminated", "", "none"},
		{"Detaching", "running", "10.0.0.1", "terminating"},
		{"Detached", "running", "10.0.0.1", "none"},
		{"Terminated", "terminated", "", "none"},
		{"Warmed:Stopped", "stopped", "", "none"},
		{"Hibernating", "running", "10.0.0.1", `lifecycle state "Hibernating"`},
		{"", "pending", "10.0.0.1", "pending"},
		{"", "pending", "", "none"},
		{"", "running", "10.0.0.1", "running"},
		{"", "stopped", "10.0.0.1", "running"},
		{"", "shutting-down", "10.0.0.1", "terminating"},
		{"", "terminated", "", "none"},
		{"", "running", "", "running, and it has no private address"},
	} {
		v, err := read(place{address: "private"}, []answer{one(c.lifecycle, c.state, c.address)})
		got := "none"
		p, there := v.Peer("i-1")
		switch {
		case err != nil:
			got = err.Error()
		case there && p.Held:
			got = fmt.Sprintf("%s held", p.State)
		case there:
			got = string(p.State)
		}
		if c.want != got && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q, EC2 %q at %q: got %s, want %s", c.lifecycle, c.state, c.address, got, c.want)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct{ desired, standby, want int }{
		{3, 0, 3}, {4, 0, 4}, {2, 1, 3}, {3, 1, 3}, {1, 2, 3}, {3, 2, 5}, {0, 1, 1}, {0, 0, 0},
	} {
		if got := size(c.desired, c.standby); got != c.want {
			t.Errorf("%d desired, %d in standby: %d, want %d", c.desired, c.standby, got, c.want)
		}
	}
}

// A region that was scaled to none, beside one that has machines, is a wish. A
// group that wants some and has none is not believed: see inGroup.
func TestARegionMayBeEmptied(t *testing.T) {
	emptied := answer{region: "s", groups: []group{{"g", 0}}}
	v, err := read(place{address: "private"}, []answer{one("InService", "running", "10.0.0.1"), emptied})
	if err != nil || len(v.Peers) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := read(place{}, []answer{emptied}); err == nil {
		t.Error("nobody at all is believed")
	}
}
