package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempPrefix begins the names of temporary files; a number follows.
const tempPrefix = ".tmp-"

// abandonedAfter is far more than a write may rest: nobody writes a temporary
// file any more that has not changed for so long.
const abandonedAfter = 24 * time.Hour

// sweep removes what killed writers have left beside temp, which has just been
// made, and in the directories beside its own: an earlier epoch's. Times are by the
// clock that has dated temp, the file system's. It is done once a day, and nothing
// depends on it: what cannot be removed, or what another process removes, stays
// or is gone.
func (d *directory) sweep(temp string) {
	own := filepath.Dir(temp)
	info, err := os.Lstat(temp)
	if err != nil || !d.sweepIsDue(own, info.ModTime()) {
		return
	}
	before := info.ModTime().Add(-abandonedAfter)
	sweepDir(own, before)
	if own == filepath.Clean(d.root) || filepath.Dir(own) == filepath.Clean(d.root) { // what is beside it is not ours
		return
	}
	beside, _ := os.ReadDir(filepath.Dir(own))
	for _, e := range beside {
		if e.IsDir() {
			sweepDir(filepath.Join(filepath.Dir(own), e.Name()), before)
		}
	}
}

func (d *directory) sweepIsDue(dir string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, any := d.swept[dir]; any && now.Before(last.Add(abandonedAfter)) {
		return false
	}
	d.swept[dir] = now
	return true
}

// sweepDir removes temporary files that have not changed since before.
func sweepDir(dir string, before time.Time) {
	names, _ := os.ReadDir(dir)
	for _, e := range names {
		if !isTemp(e) {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// isTemp: a name like ours that somebody else's file has is spared.
func isTemp(e fs.DirEntry) bool {
	number, ok := strings.CutPrefix(e.Name(), tempPrefix)
	return ok && e.Type().IsRegular() && number != "" && strings.Trim(number, "0123456789") == ""
}
