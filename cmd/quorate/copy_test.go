package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// metric is one line of an agent's metrics, or empty.
func (h *host) metric(name string) string {
	h.r.t.Helper()
	resp, err := http.Get(h.url(2378) + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(h.r.t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestBackupCopy: a second store gets every backup; while it is away the first
// goes on alone and the lag grows; a cluster comes back from the copy.
func TestBackupCopy(t *testing.T) {
	t.Parallel()
	away := filepath.Join(t.TempDir(), "copy")
	keys := keyFlags(t)
	r := newRig(t, append(keys, "--size", "1", "--backup-copy", "file://"+away)...)
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(40*time.Second, "a")
	r.put(r.client("a"), "k", "v")
	made := r.backup(a) // though the copy's directory is not there
	r.eventually(20*time.Second, "the lag grows", func() error {
		if lag := a.metric("quorate_backup_copy_lag_seconds"); lag == "" || lag == "0" {
			return fmt.Errorf("it is %q", lag)
		}
		return nil
	})
	must(t, os.MkdirAll(away, 0o700))
	r.eventually(60*time.Second, "the copy has it", func() error {
		_, err := os.Stat(filepath.Join(away, "test", filepath.FromSlash(made.Key)))
		return err
	})
	r.eventually(20*time.Second, "the lag is gone", func() error {
		if lag := a.metric("quorate_backup_copy_lag_seconds"); lag != "0" {
			return fmt.Errorf("it is %q", lag)
		}
		return nil
	})
	if out := r.does(append([]string{"backup", "verify", "--store", "file://" + away, "--cluster", "test"}, keys...)...); !strings.HasPrefix(out, "good  "+made.Key) {
		t.Errorf("the copy:\n%s", out)
	}
}
