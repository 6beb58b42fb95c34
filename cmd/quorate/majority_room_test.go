package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPartitioned: who is cut off may come back, and nobody founds without him.
// Each host is a network namespace of its own, behind a switch; the test runs
// itself again in the namespace of the switch, so that nothing is left outside.
func TestPartitioned(t *testing.T) {
	t.Parallel()
	if os.Getenv("QUORATE_TEST_PROGRAM") == "" {
		cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run=^TestPartitioned$", "-test.v")
		cmd.Env = append(os.Environ(), "QUORATE_TEST_PROGRAM="+program)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestPartitioned/") {
			t.Fatalf("in a network of its own (it takes root and iproute2): %v\n%s", err, out)
		}
		return
	}
	for _, line := range []string{"link set lo up", "link add switch type bridge", "addr add 10.99.0.1/24 dev switch", "link set switch up"} {
		ip(t, line)
	}
	for i, s := range []subset{
		{[]fate{stays, isCutOff, isCutOff}, mayComeBack, false},
		{[]fate{stays, isCutOff, dies}, mayComeBack, false},
		{[]fate{stays, isCutOff, losesADisk, losesADisk, dies}, mayBeNewer, true},
	} {
		t.Run(s.name(), func(t *testing.T) {
			r := newRig(t, "--size", string(rune('0'+len(s.fates))))
			r.net = "10.99.0"
			for k := range s.fates {
				r.machine(string(rune('a'+k)), 11+10*i+k).plugIn()
			}
			s.play(r)
		})
	}
}

func ip(t testing.TB, line string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// cable is the host's end at the switch.
func (h *host) cable() string { return "to-" + strings.ReplaceAll(h.addr, "10.99.0.", "") }

// plugIn gives the host a network namespace, which a process holds that waits
// for the end of the test.
func (h *host) plugIn() {
	t := h.r.t
	t.Helper()
	holder := exec.Command("unshare", "--net", "cat")
	stdin, err := holder.StdinPipe()
	must(t, err)
	must(t, holder.Start())
	t.Cleanup(func() { stdin.Close(); _ = holder.Wait() })
	here, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	h.r.eventually(10*time.Second, "a network namespace", func() error {
		if there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)); err != nil || there == here {
			return fmt.Errorf("%s, %v", there, err)
		}
		return nil
	})
	h.way = []string{"nsenter", "--net", "--target", fmt.Sprint(holder.Process.Pid)}
	ip(t, fmt.Sprintf("link add %s type veth peer name eth0 netns %d", h.cable(), holder.Process.Pid))
	ip(t, "link set "+h.cable()+" master switch up")
	for _, line := range []string{"addr add " + h.addr + "/24 dev eth0", "link set eth0 up", "link set lo up"} {
		args := append(append(h.way[1:len(h.way):len(h.way)], "ip"), strings.Fields(line)...)
		if out, err := exec.Command(h.way[0], args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
}

// cutOff pulls the host's cable.
func (h *host) cutOff() (undo func()) {
	ip(h.r.t, "link set "+h.cable()+" down")
	return func() { ip(h.r.t, "link set "+h.cable()+" up") }
}
