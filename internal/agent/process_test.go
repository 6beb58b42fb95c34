package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// A founder that is started again after each failed restore comes to say so all
// the same, and of this epoch's seed alone.
func TestSeedFailuresOutliveTheAgent(t *testing.T) {
	dir := t.TempDir()
	agent := func() *Agent {
		return newAgent(Options{DataDir: dir, Name: "a"}, Parts{Log: slog.New(slog.DiscardHandler)})
	}
	first := agent()
	for n := range 3 {
		first.noteSeed(seedFailures{2, first.seedFails.of(2) + 1})
		if got := agent().seedFails.of(2); got != n+1 {
			t.Fatalf("after %d failures the next agent counts %d", n+1, got)
		}
	}
	if got := agent().seedFails.of(3); got != 0 {
		t.Errorf("of another epoch: %d", got)
	}
	first.noteSeed(seedFailures{2, 0})
	if got := agent().seedFails.of(2); got != 0 {
		t.Errorf("after a success: %d", got)
	}
	if err := os.WriteFile(filepath.Join(dir, seedFailsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := agent().seedFails.of(2); got != 0 {
		t.Errorf("of a broken file: %d", got)
	}
}
