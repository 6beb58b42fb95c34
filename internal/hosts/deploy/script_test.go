package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/apt"
)

// TestScriptsAreSound: shellcheck reads each as it is sent: with its variables
// before it and its call after it.
func TestScriptsAreSound(t *testing.T) {
	shellcheck := apt.Need(t, "/usr/bin/shellcheck", "shellcheck")
	all, err := filepath.Glob("script/*.sh")
	if err != nil || len(all) != 7 {
		t.Fatalf("%v: %v", all, err)
	}
	for _, path := range all {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := "#!/bin/sh\nID=x BINARY=x DATA_DIR=/x DROP_DATA=no KEEP_DIR=no KEEP_USER=no\nexport ID BINARY DATA_DIR DROP_DATA KEEP_DIR KEEP_USER\n" +
			files(map[string][]byte{"a b": []byte("x")}, []string{"a b"}) + "files /tmp\n" + string(body)
		if !strings.HasSuffix(path, "stage.sh") || strings.HasSuffix(path, "unstage.sh") {
			text += "main </dev/null\n"
		}
		file := filepath.Join(t.TempDir(), "script.sh")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shellcheck, "--shell=sh", "--severity=info", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// TestFiles: what is sent arrives, byte for byte, whatever it holds.
func TestFiles(t *testing.T) {
	all := map[string][]byte{"a": []byte("EOF\n$(id)\n"), "files/it's": {0, 1, 255}, "empty": {}}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-s")
	cmd.Stdin = strings.NewReader(files(all, []string{"a", "files/it's", "empty"}) + "files " + dir + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, want %q: %v", name, got, want, err)
		}
	}
}
