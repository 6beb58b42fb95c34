package lockfile

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLock: who comes second gets it when the first has let it go, and not before.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	free := make(chan struct{})
	go func() {
		second, err := Lock(path)
		if err == nil {
			defer second()
		}
		select {
		case <-free:
		default:
			t.Error("both have it")
		}
		got <- err
	}()
	close(free)
	unlock()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(filepath.Join(path, "none")); !os.IsNotExist(err) && err == nil {
		t.Error("a file below a file is locked")
	}
}
