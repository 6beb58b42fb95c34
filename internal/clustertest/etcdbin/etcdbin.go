// Package etcdbin has the programs of real etcd releases for tests of upgrades:
// built from their modules, outside this repository's own, once for this user.
// 3.4 is Debian's. A test never passes over one that is missing: it builds it,
// or fails and says why.
package etcdbin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/lockfile"
)

// The releases that the tests run.
const (
	V34    = "3.4" // whatever patch Debian has
	OldV35 = "3.5.21"
	V35    = "3.5.33" // the newest patch of its minor that may go to the next one, like those below
	V36    = "3.6.14"
	V37    = "3.7.3"
)

// buildLimit bounds one build, of which a loaded machine has needed five minutes.
const buildLimit = 15 * time.Minute

// Etcd is the path of the etcd server of a release.
func Etcd(t testing.TB, version string) string {
	t.Helper()
	if version == V34 {
		return apt.Need(t, "/usr/bin/etcd", "etcd-server")
	}
	return need(t, program{"etcd", "go.etcd.io/etcd/server/v3", version})
}

// Etcdutl is the path of a release's etcdutl; V34 has none.
func Etcdutl(t testing.TB, version string) string {
	t.Helper()
	return need(t, program{"etcdutl", "go.etcd.io/etcd/etcdutl/v3", version})
}

// Etcdctl is the path of a release's etcdctl. The one of V34 is Debian's.
func Etcdctl(t testing.TB, version string) string {
	t.Helper()
	if version == V34 {
		return apt.Need(t, "/usr/bin/etcdctl", "etcd-client")
	}
	return need(t, program{"etcdctl", "go.etcd.io/etcd/etcdctl/v3", version})
}

// Directory is a directory of versions as an operator keeps one for --etcd:
// VERSION/etcd for each of them. It lasts as long as the test.
func Directory(t testing.TB, versions ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range versions {
		Add(t, dir, v)
	}
	return dir
}

// Add puts a version into a directory of versions.
func Add(t testing.TB, dir, version string) {
	t.Helper()
	bin := Etcd(t, version)
	if err := os.MkdirAll(filepath.Join(dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, version, "etcd")); err != nil {
		t.Fatal(err)
	}
}

type program struct{ name, module, version string }

func need(t testing.TB, p program) string {
	t.Helper()
	cache, err := home()
	if err == nil {
		var path string
		if path, err = p.build(t.Context(), cache); err == nil {
			return path
		}
	}
	t.Fatalf("building %s %s: %v", p.name, p.version, err)
	return ""
}

func home() (string, error) {
	if dir := os.Getenv("QUORATE_CACHE"); dir != "" {
		return filepath.Join(dir, "test-etcd"), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "quorate-test-etcd"), err
}

// build makes the program unless it is there, and is its path. One builds at a
// time, whichever process it is in; a program is there whole or not at all.
func (p program) build(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, p.version)
	path := filepath.Join(dir, p.name)
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockfile.Lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(path) { // built by whoever had the lock
		return path, nil
	}
	scratch, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	if err := p.buildIn(ctx, scratch); err != nil {
		return "", err
	}
	return path, os.Rename(filepath.Join(scratch, p.name), path)
}

// buildIn uses a module of its own, which takes a release with its own choice
// of dependencies: `go install …@version` refuses etcd's replace directives.
func (p program) buildIn(ctx context.Context, scratch string) error {
	if err := os.WriteFile(filepath.Join(scratch, "go.mod"), []byte("module scratch\n\ngo 1.26\n"), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"go", "get", "-tool", p.module + "@v" + p.version},
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", p.name, p.module},
		{"./" + p.name, p.versionFlag()},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = scratch
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("running %s: %w: %s", strings.Join(args, " "), err, out)
		}
		if args[0] != "go" && !bytes.Contains(out, []byte(p.version)) {
			return fmt.Errorf("it says that it is another version: %s", out)
		}
	}
	return nil
}

func (p program) versionFlag() string {
	if p.name == "etcd" {
		return "--version"
	}
	return "version"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
