package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestWordWhileAQuorumLives: agents are silent whose etcds serve on: what an
// operator then calls lost is not. And a word that was true when it was given
// lapses once those members are back: at their next outage it counts no more.
func TestWordWhileAQuorumLives(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	lost := []string{"recover", c.agentFlag(), "--lost=a,b", "--yes", "--reason", "test"}
	a.killAgent()
	b.killAgent()
	if _, errOut, code := r.quorate(lost...); code != 1 || !strings.Contains(errOut, "a quorum lives") {
		t.Errorf("while two agents are silent: exit code %d, %s", code, errOut)
	}
	r.writeMany(r.client("a"), "silent-", 20)
	a.start()
	b.start()
	r.voters(40*time.Second, "a", "b", "c")

	// Housekeeping is paused, so that the word is known and nothing is founded yet.
	r.does("pause", c.agentFlag(), "--for", "10m", "--reason", "test")
	a.crash()
	b.crash()
	r.does(lost...)
	c.says(20*time.Second, "no quorum answers, and housekeeping is paused")
	a.start()
	b.start()
	r.voters(40*time.Second, "a", "b", "c")
	r.eventually(100*time.Second, "the word lapses", func() error {
		if !strings.Contains(r.logs(), "LapseVerdict{") {
			return errors.New("not yet")
		}
		return nil
	})
	r.does("resume", c.agentFlag())
	r.writeMany(r.client("a"), "after-", 20)
	a.crash()
	b.crash()
	c.holds(30*time.Second, "a quorum of the last members may come back", 20)
	a.start()
	b.start()
	r.voters(40*time.Second, "a", "b", "c")
	r.onlyEpochOne()
	r.wantMany(r.client("c"), "silent-", 20)
	r.wantMany(r.client("c"), "after-", 20)
}
