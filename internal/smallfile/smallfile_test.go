package smallfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int{"small": 3, "full": limit, "large": limit + 1} {
		if err := os.WriteFile(at(name), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("small", at("link"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		size int
		err  error
	}{
		at("small"): {3, nil}, at("link"): {3, nil}, at("full"): {limit, nil}, at("large"): {0, ErrNot},
		at("pipe"): {0, ErrNot}, dir: {0, ErrNot}, "/dev/zero": {0, ErrNot}, at("missing"): {0, fs.ErrNotExist},
	} {
		data, err := Read(name)
		if !errors.Is(err, want.err) || err == nil && len(data) != want.size {
			t.Errorf("%s: %d bytes, %v; want %d, %v", name, len(data), err, want.size, want.err)
		}
	}
}

// TestReadAny: a pipe with a writer is read to its end, a device not for ever.
func TestReadAny(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() { _, _ = w.WriteString("size: 3\n"); w.Close() }()
	path := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if data, err := ReadAny(path); err != nil || string(data) != "size: 3\n" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := ReadAny("/dev/zero"); !errors.Is(err, ErrNot) {
		t.Errorf("/dev/zero: %v", err)
	}
}
