package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

var errNotYet = errors.New("not yet")

// answered runs a command whose question is answered on its standard input.
func (r *rig) answered(answer string, args ...string) (out string, code int) {
	r.t.Helper()
	cmd := exec.Command(program, args...)
	var all bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(answer), &all, &all
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return all.String(), cmd.ProcessState.ExitCode()
}

// TestRecoverAsks: before an operator's word counts, he is shown who answers,
// how far the logs and the backups go, and what would follow.
func TestRecoverAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
	r.peers = "a=" + a.addr + ",b=" + b.addr + ",c=" + c.addr
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	saved := r.backup(a)
	r.writeMany(r.client("a"), "acked-", 50)
	wipeAll(b, c)
	a.says(30*time.Second, "a quorum of the last members may come back")
	shows := func(args string, wants ...string) {
		t.Helper()
		r.eventually(20*time.Second, "recover "+args+" shows what is at stake", func() error {
			out, code := r.answered("n\n", "recover", a.agentFlag(), args)
			for _, want := range append(wants, "Go on? [y/N]", "not confirmed: nothing was done") {
				if code != 2 || !strings.Contains(out, want) {
					return errors.New("lacks " + want + " in\n" + out)
				}
			}
			return nil
		})
	}
	shows("--lost=b", "c       no: SILENT, and nothing proves it lost", "Then: wait: ")
	shows("--lost=b,c", "a says: ", "a       yes, with its data  term ", "b       no: lost", "c       no: lost",
		"newest backup: "+saved.Key, "entries less than the log of a", "These disks will never come back: b, c.",
		"Writes that neither a's log nor a newer backup holds are gone.", "Then: recover: a majority is proven lost, and this survivor's log is the newest (term ")
	r.onlyEpochOne()
	if out, code := r.answered("yes\n", "recover", a.agentFlag(), "--lost=b,c", "--reason", "the racks burned"); code != 0 || !strings.Contains(out, "recorded for epoch 1") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	r.voters(60*time.Second, "a")
	if s := r.inEpoch(2, "a").Seed; s.Kind != cluster.SeedSurvivor {
		t.Errorf("seed %+v", s)
	}
	r.wantMany(r.client("a"), "acked-", 50)
}
