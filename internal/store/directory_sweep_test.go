package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/store"
)

// files are the names of all files below dir.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	}))
	return names
}

// leave puts a file below dir that was changed so long ago.
func leave(t *testing.T, dir, name string, ago time.Duration) {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte("half"), 0o600))
	must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-ago)))
}

// TestSweep: what killed uploads have left goes with a later upload, and nothing
// else: no object, no file that is being written, and none that is not ours.
func TestSweep(t *testing.T) {
	const long, short = 25 * time.Hour, 23 * time.Hour
	dir := t.TempDir()
	s, err := store.Open(t.Context(), "file://"+dir, "c")
	must(t, err)
	for name, ago := range map[string]time.Duration{
		"c/backups/1/.tmp-1":     long, // of an epoch that is over
		"c/backups/2/.tmp-22":    long,
		"c/backups/2/.tmp-33":    short,
		"c/backups/2/.tmp-":      long,
		"c/backups/2/.tmp-notes": long,
		"c/backups/2/object":     long,
		"c/other/.tmp-1":         long,
		"elsewhere/.tmp-1":       long,
	} {
		leave(t, dir, name, ago)
	}
	_, err = s.Upload(t.Context(), "backups/2/new", strings.NewReader("whole"))
	must(t, err)
	want := []string{"c/backups/2/.tmp-", "c/backups/2/.tmp-33", "c/backups/2/.tmp-notes", "c/backups/2/new", "c/backups/2/object", "c/other/.tmp-1", "elsewhere/.tmp-1"}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are %q\nwant     %q", got, want)
	}
	_, err = s.Upload(t.Context(), "top", strings.NewReader("whole")) // beside whose directory others' are
	must(t, err)
	if !slices.Contains(files(t, dir), "elsewhere/.tmp-1") {
		t.Error("a file of somebody else is gone")
	}
}

// TestSweepsRace: many that sweep at once are in nobody's way.
func TestSweepsRace(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		leave(t, dir, "c/backups/1/.tmp-"+n, 48*time.Hour)
	}
	var all sync.WaitGroup
	for _, key := range []string{"backups/1/a", "backups/1/b", "backups/2/c", "backups/2/d"} {
		all.Go(func() {
			s, err := store.Open(t.Context(), "file://"+dir, "c")
			if err == nil {
				_, err = s.Upload(t.Context(), key, strings.NewReader(key))
			}
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
		})
	}
	all.Wait()
	if got := files(t, dir); len(got) != 4 {
		t.Errorf("left are %q", got)
	}
}
