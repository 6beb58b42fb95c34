// Package pyvenv installs Python programs that tests run as real parts (moto,
// cfn-lint, shellcheck, the AWS command line), each in a virtual environment
// of its own, from a list of exact versions with their hashes.
//
// The lists are made by `uv pip compile --universal --python-version 3.10
// --generate-hashes --no-header --no-annotate`.
package pyvenv

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/clustertest/lockfile"
)

//go:embed *.txt
var lists embed.FS

// Install makes the environment of a list (moto, cfn-lint, …) once for this
// user, and is the directory of its programs. A changed list is another
// environment. Test processes that install at once wait for each other; at
// most ten minutes.
func Install(ctx context.Context, list string) (bin string, err error) {
	text, err := lists.ReadFile(list + ".txt")
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", list, err)
	}
	dir, err := home(list)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockfile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	venv := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256(text))[:12])
	bin, done := filepath.Join(venv, "bin"), filepath.Join(venv, "installed")
	if _, err := os.Stat(done); err == nil {
		return bin, nil
	}
	if err := makeVenv(ctx, venv, text); err != nil {
		return "", fmt.Errorf("installing %s: %w", list, err)
	}
	return bin, os.WriteFile(done, nil, 0o644)
}

func makeVenv(ctx context.Context, venv string, list []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	wanted := filepath.Join(venv, "requirements.txt")
	python := filepath.Join(venv, "bin", "python")
	for _, step := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", wanted},
	} {
		if step[0] == python {
			if err := os.WriteFile(wanted, list, 0o644); err != nil {
				return err
			}
		}
		if out, err := exec.CommandContext(ctx, step[0], step[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("running %s: %w: %s", strings.Join(step, " "), err, out)
		}
	}
	return nil
}

func home(list string) (string, error) {
	if dir := os.Getenv("QUORATE_CACHE"); dir != "" {
		return filepath.Join(dir, list), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "quorate", list), err
}
