package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, want := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
	wantNames(t, dir, 1)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestCreateFileHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	const n = 16
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = CreateFile(path, fmt.Appendf(nil, "%d", i), 0o600) })
	}
	wg.Wait()

	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("both %d and %d won", winner, i)
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("a loser got %v, want fs.ErrExist", err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != fmt.Sprint(winner) {
		t.Errorf("the file says %q, %v; the winner is %d", got, err, winner)
	}
	wantNames(t, dir, 1)
}

func TestMkdirAllAndRename(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Rename(deep, filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, 2)
	if err := WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(dir, "file"), 0o700); err == nil {
		t.Error("a file passed for a directory")
	}
}

func wantNames(t *testing.T, dir string, n int) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != n {
		t.Errorf("%s holds %v, %v; want %d names", dir, names, err, n)
	}
}
