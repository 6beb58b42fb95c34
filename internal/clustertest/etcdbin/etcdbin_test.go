package etcdbin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each program says the version that it is asked for by.
func TestPrograms(t *testing.T) {
	for _, v := range []string{V34, OldV35, V35, V36, V37} {
		wantVersion(t, v, Etcd(t, v), "--version")
	}
	wantVersion(t, V35, Etcdutl(t, V35), "version")
}

func wantVersion(t *testing.T, version, path, flag string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, flag).CombinedOutput()
	if err != nil || !strings.Contains(string(out), version) {
		t.Errorf("%s %s: %v: %s; want %s", path, flag, err, out, version)
	}
}

func TestDirectory(t *testing.T) {
	dir := Directory(t, V34)
	Add(t, dir, V36)
	wantVersion(t, V36, filepath.Join(dir, V36, "etcd"), "--version")
	wantVersion(t, V34, filepath.Join(dir, V34, "etcd"), "--version")
}

// A release that is not to be had leaves nothing that the next test takes for it.
func TestNothingIsLeftOfAFailedBuild(t *testing.T) {
	cache := t.TempDir()
	p := program{"etcd", "go.etcd.io/etcd/server/v3", "3.5.9999"}
	if _, err := p.build(t.Context(), cache); err == nil || !strings.Contains(err.Error(), "3.5.9999") {
		t.Errorf("build: %v; want the version that there is not", err)
	}
	left, err := os.ReadDir(filepath.Join(cache, p.version))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
