package printed

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// sameOwner gives a directory to the owner of its parent.
func sameOwner(dir string) error {
	info, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(dir, int(s.Uid), int(s.Gid)); err != nil {
			return fmt.Errorf("giving %s to the owner of its parent: %w", dir, err)
		}
	}
	return nil
}
