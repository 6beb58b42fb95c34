package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
)

// TestExplain: for those who run etcd themselves, what `quorate explain` prints
// starts a working etcd, whatever is in a value; and it touches nothing.
func TestExplain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	explain := func(args ...string) (string, string, int) {
		return r.quorate(append([]string{"explain"}, a.args(args...)...)...)
	}
	for _, format := range []string{"env", "dropin", "flags"} {
		out, errOut, code := explain("-o", format, "--look", "2s")
		if code != 1 || out != "" || !strings.Contains(errOut, "there is no etcd to configure now: found: ") {
			t.Errorf("-o %s before the founding: exit code %d, %q, %s", format, code, out, errOut)
		}
	}
	if made := tree(t, r.dir); len(made) != 2 { // the directory and the peers file
		t.Errorf("explain has made %v", made)
	}
	a.start()
	r.voters(30*time.Second, "a")
	r.put(r.client("a"), "kept", "1")
	a.term()

	before := tree(t, r.dir)
	text, _, code := explain()
	if code != 0 || !strings.HasPrefix(text, "start: the data is usable") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if after := tree(t, r.dir); !maps.Equal(before, after) {
		t.Errorf("explain has changed something:\n%v\n%v", before, after)
	}
	nasty := filepath.Join(r.dir, `it's 50% "done" \ $HOME`)
	must(t, os.Mkdir(nasty, 0o700))
	log := filepath.Join(nasty, "etcd.log")

	t.Run("flags", func(t *testing.T) {
		if _, errOut, code := explain("-o", "flags", "--", "--log-outputs="+log); code != 1 || !strings.Contains(errOut, "use -o env or -o dropin") {
			t.Errorf("a value that $(…) cannot hold: exit code %d, %s", code, errOut)
		}
		r.works(a, `exec "$PROGRAM" etcd $("$PROGRAM" explain "$@" -o flags)`)
	})
	t.Run("env", func(t *testing.T) {
		r.works(a, `set -a; eval "$("$PROGRAM" explain "$@" -o env -- "--log-outputs=$LOG")"; exec "$PROGRAM" etcd`, "LOG="+log)
		if info, err := os.Stat(log); err != nil || info.Size() == 0 {
			t.Errorf("etcd has not logged to %s: %v", log, err)
		}
	})
	t.Run("dropin", func(t *testing.T) {
		out, errOut, code := explain("-o", "dropin", "--", "--log-outputs="+log)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errOut)
		}
		got := systemdEnvironment(t, out)
		if got["ETCD_LOG_OUTPUTS"] != log || got["ETCD_NAME"] != "a" {
			t.Errorf("parsed %q of\n%s", got, out)
		}
		for name, value := range got {
			if value == "" {
				t.Errorf("%s is empty", name)
			}
		}
		verifyUnit(t, out)
	})
}

// works runs a shell line, whose words are explain's flags, until the etcd that
// it starts serves the data.
func (r *rig) works(h *host, line string, env ...string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", line, "sh"}, h.args()...)...)
	cmd.Env = append(append(os.Environ(), "PROGRAM="+program), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	must(r.t, cmd.Start())
	r.wantValue(r.client(h.name), "kept", "1")
	cancel()
	_ = cmd.Wait()
}

// systemdEnvironment reads a drop-in as systemd.exec(5) says: quotes, then
// backslashes, then specifiers.
func systemdEnvironment(t testing.TB, text string) map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[0] != "[Service]" {
		t.Fatalf("no [Service] in\n%s", text)
	}
	out := map[string]string{}
	for _, line := range lines[1:] {
		quoted, ok := strings.CutPrefix(line, `Environment="`)
		if !ok || !strings.HasSuffix(quoted, `"`) {
			t.Fatalf("not an environment line: %s", line)
		}
		var b strings.Builder
		inner := []byte(quoted[:len(quoted)-1])
		for i := 0; i < len(inner); i++ {
			switch {
			case inner[i] == '"':
				t.Fatalf("a quote ends the value: %s", line)
			case inner[i] == '\\' || inner[i] == '%' && i+1 < len(inner) && inner[i+1] == '%':
				i++
				b.WriteByte(inner[i])
			case inner[i] == '%':
				t.Fatalf("a specifier: %s", line)
			default:
				b.WriteByte(inner[i])
			}
		}
		name, value, _ := strings.Cut(b.String(), "=")
		out[name] = value
	}
	return out
}

// verifyUnit has systemd itself look at the drop-in.
func verifyUnit(t testing.TB, dropin string) {
	t.Helper()
	analyze := apt.Need(t, "/usr/bin/systemd-analyze", "systemd")
	dir := t.TempDir()
	unit := filepath.Join(dir, "etcd-quorate.service")
	must(t, os.WriteFile(unit, []byte("[Unit]\nDescription=etcd\n[Service]\nExecStart=/bin/true\n"), 0o600))
	must(t, os.Mkdir(unit+".d", 0o700))
	must(t, os.WriteFile(filepath.Join(unit+".d", "quorate.conf"), []byte(dropin), 0o600))
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "quorate.conf") {
			t.Errorf("systemd says %s", line)
		}
	}
	if err != nil && strings.Contains(string(out), "etcd-quorate.service") {
		t.Error(fmt.Errorf("systemd-analyze verify: %w: %s", err, out))
	}
}
