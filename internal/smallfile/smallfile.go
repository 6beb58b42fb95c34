// Package smallfile reads files that people name: settings, certificates, keys
// and passwords.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// limit is more than any of them has.
const limit = 1 << 20

// ErrNot is what no such file is.
var ErrNot = errors.New("want a regular file of 1 MiB at most")

// Read is what the regular file at path holds. Anything else is refused and not
// waited for: a pipe has its writer's time, and a device may never end.
func Read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", path, ErrNot)
	}
	return read(f)
}

// ReadAny is Read but for whatever can be read, a shell's <(command) too.
func ReadAny(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f)
}

func read(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		return nil, fmt.Errorf("%s: %w", f.Name(), ErrNot)
	}
	return data, err
}
