package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/etcd"
)

// oddValues are paths that people have.
var oddValues = []string{"", "plain", "my data", "it's", `"quoted"`, `back\slash`, `\n \$ \"`, "$HOME $(id) `id`", "50%", "# ; & * ? ~ !!", "a\ttab", "é", "[a]", `'`, `\`, "{a,b}"}

// TestRenderEnv: a shell and systemd read -o env alike, and as it was meant.
func TestRenderEnv(t *testing.T) {
	t.Parallel()
	for _, v := range oddValues {
		text, err := render("env", []etcd.Setting{{Flag: "data-dir", Value: v}, {Flag: "name", Value: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, shell := range []string{"bash", "dash"} {
			out, err := exec.Command(shell, "-uc", `eval "$1"; printf %s "$ETCD_DATA_DIR"`, shell, text).CombinedOutput()
			if err != nil || string(out) != v {
				t.Errorf("%s reads %q of %s, want %q: %v", shell, out, text, v, err)
			}
		}
		if got := readBySystemd(t, strings.Replace(text, "ETCD_DATA_DIR", "BUILD_ID", 1)); v != "" && got != v {
			t.Errorf("systemd reads %q of %s, want %q", got, text, v)
		}
	}
}

// readBySystemd has systemd itself read a file of variables: its parser of
// EnvironmentFile= is that of os-release too, which a specifier shows.
func readBySystemd(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.conf")
	must(t, os.WriteFile(rules, []byte("f /out 0644 - - - %B\n"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "etc"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "etc/os-release"), []byte(text), 0o600))
	said, err := exec.Command(apt.Need(t, "/usr/bin/systemd-tmpfiles", "systemd"), "--create", "--root="+dir, rules).CombinedOutput()
	out, unread := os.ReadFile(filepath.Join(dir, "out"))
	if unread != nil {
		t.Logf("systemd-tmpfiles: %v: %s", err, said)
	}
	return string(out)
}

// TestRenderFlags: shells leave IPv6 URLs as they are, beside files that look
// like them; what they would change is refused.
func TestRenderFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"f", "3", "--initial-cluster=a=http:", "http:"} {
		must(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
	}
	v := "a=http://[fd77::3]:2380,b=https://[::ffff:10.0.0.1]:2380,c=http://10.0.0.1:2380"
	text, err := render("flags", []etcd.Setting{{Flag: "initial-cluster", Value: v}, {Flag: "listen-peer-urls", Value: "http://[::1]:2380"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"bash", "dash"} {
		cmd := exec.Command(shell, "-uc", `printf '%s\n' $(printf %s "$1")`, shell, text)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if want := []string{"--initial-cluster=" + v, "--listen-peer-urls=http://[::1]:2380"}; err != nil || !slices.Equal(strings.Fields(string(out)), want) {
			t.Errorf("%s reads %s, want %s: %v", shell, out, want, err)
		}
	}
	for _, odd := range []string{"my data", "[a]", "http://[a-z]:1", "http://[*]:1", "http://[::1]:1[", "it's", "*", "?", "a\tb", "$x", "{a,b}"} {
		if text, err := render("flags", []etcd.Setting{{Flag: "data-dir", Value: odd}}); err == nil {
			t.Errorf("%q is said as %s", odd, text)
		}
	}
}

// TestRenderRefuses: what systemd would drop without a word is not printed.
func TestRenderRefuses(t *testing.T) {
	for _, format := range []string{"env", "dropin", "flags"} {
		for _, odd := range []string{"a\nb", "a\x00b", "a\x1bb", "a\xffb"} {
			if text, err := render(format, []etcd.Setting{{Flag: "data-dir", Value: odd}}); err == nil || !strings.HasPrefix(err.Error(), "data-dir: ") {
				t.Error(fmt.Errorf("%s: %q is said as %s: %w", format, odd, text, err))
			}
		}
	}
}
