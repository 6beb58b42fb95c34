package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// etcdctlVersion is of the newest etcdctl that the tests run.
const etcdctlVersion = "v3.7.3"

// newestEtcdctl builds etcdctl from its module, once for this user. Test
// processes that build at once wait for each other.
func newestEtcdctl(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("QUORATE_CACHE")
	if cache == "" {
		var err error
		cache, err = os.UserCacheDir()
		must(t, err)
		cache = filepath.Join(cache, "quorate")
	}
	dir := filepath.Join(cache, "etcdctl", etcdctlVersion)
	must(t, os.MkdirAll(dir, 0o755))
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	must(t, err)
	defer lock.Close() // and with it the lock goes
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	path := filepath.Join(dir, "etcdctl")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	scratch := t.TempDir()
	must(t, os.WriteFile(filepath.Join(scratch, "go.mod"), []byte("module scratch\n\ngo 1.26\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "-tool", "go.etcd.io/etcd/etcdctl/v3@" + etcdctlVersion},
		{"build", "-o", path + ".tmp", "go.etcd.io/etcd/etcdctl/v3"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = scratch
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building etcdctl: go %v: %v\n%s", args, err, out)
		}
	}
	must(t, os.Rename(path+".tmp", path))
	return path
}
