package main

import (
	"path/filepath"
	"strings"
	"testing"

	etcdversion "go.etcd.io/etcd/api/v3/version"
)

// TestRestoreInsteadOfSpoilt: where the newest snapshot is spoilt and the log of the
// one before it is broken, nothing less than what was asked for is made in silence.
func TestRestoreInsteadOfSpoilt(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*laid){
		"it does not unpack": func(s *laid) { s.flip(s.object(2), 300) },
		"it is gone":         func(s *laid) { gone(s.t, s.object(2)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lay(t, etcdversion.Version, true)
			spoil(s)
			gone(t, s.segment(3)) // behind the snapshot of revision 20
			out, errOut, code := s.restore("--at", "50", "--to", filepath.Join(t.TempDir(), "made"))
			if want := "the best without it is " + s.keys[1]; code != 1 || !strings.Contains(errOut, want) || !strings.Contains(errOut, "nothing was made") {
				t.Errorf("exit code %d, want 1 and %q:\n%s%s", code, want, out, errOut)
			}
		})
	}
}
