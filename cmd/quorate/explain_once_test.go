package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExplainAsksOnce: a program of peers that hangs is waited for once; one that
// fails at once is asked again.
func TestExplainAsksOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script string
		args   []string
		asked  func(times int) bool
		want   string // of the decision
	}{
		"it hangs":                      {"exec sleep 60", nil, func(n int) bool { return n == 1 }, "peers"},
		"it hangs, and all is told":     {"exec sleep 60", []string{"--zone", "z"}, func(n int) bool { return n == 1 }, "peers"},
		"it answers":                    {`echo '[{"name":"a","host":"127.0.0.1"}]'`, nil, func(n int) bool { return n == 1 }, "found: "},
		"it fails, and then it answers": {`[ $(wc -l < $0.asked) -gt 2 ] || exit 1; echo '[{"name":"a","host":"127.0.0.1"}]'`, nil, func(n int) bool { return n > 2 }, "found: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := filepath.Join(t.TempDir(), "peers.sh")
			must(t, os.WriteFile(script, []byte(fmt.Sprintf("#!/bin/sh\necho asked >> $0.asked\n%s\n", row.script)), 0o700))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, append([]string{"explain", "--cluster", "x", "--name", "a", "--host", "127.0.0.1", "--size", "1", "--founding-wait", "0s", "--look", "4s",
				"--data-dir", filepath.Join(t.TempDir(), "d"), "--peers", "exec://" + script + "?timeout=2s&every=0s"}, row.args...)...)
			out, err := cmd.CombinedOutput()
			said, readErr := os.ReadFile(script + ".asked")
			if n := strings.Count(string(said), "asked"); err != nil || readErr != nil || !row.asked(n) || !strings.Contains(string(out), row.want) {
				t.Errorf("asked %d times: %v, %v\n%s", n, err, readErr, out)
			}
		})
	}
}
