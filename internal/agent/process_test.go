package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
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

// TestUnreadMarkOfForeignData: where nobody can tell whether an etcd that is not
// ours has served here, on data elsewhere, the disk does not count as empty.
func TestUnreadMarkOfForeignData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		dir  string
		want cluster.DiskState
	}{
		"no mark":          {t.TempDir(), cluster.DiskEmpty},
		"a mark is unread": {file, cluster.DiskElsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(Options{DataDir: row.dir, Host: "127.0.2.99", Etcd: etcd.Config{ClientPort: 2379}},
				Parts{Log: slog.New(slog.DiscardHandler), Secure: Schemes{Client: "http"}})
			o := plan.Observation{Disk: cluster.Disk{State: cluster.DiskEmpty}}
			a.lookForForeign(t.Context(), &o)
			if o.Disk.State != row.want {
				t.Errorf("the disk is %q, want %q", o.Disk.State, row.want)
			}
		})
	}
}
