package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	etcdversion "go.etcd.io/etcd/api/v3/version"
)

// TestVerifyForeign: a snapshot of another cluster is none of ours, however whole.
func TestVerifyForeign(t *testing.T) {
	t.Parallel()
	s := lay(t, etcdversion.Version, false)
	s.rename(2)
	for _, args := range [][]string{nil, {"--all"}, {s.keys[2]}} {
		out, errOut, code := s.run(append([]string{"backup", "verify"}, args...)...)
		if code != 1 || !strings.Contains(out, "BAD   "+s.keys[2]+`: it is of cluster "other"`) || strings.Contains(out, "good  "+s.keys[2]) {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errOut)
		}
		if len(args) == 0 && !strings.Contains(out, "good  "+s.keys[1]) {
			t.Errorf("the newest of ours is not read:\n%s", out)
		}
	}
}

// TestVerifyReach: a manifest's and a segment's revision are lower bounds, and are
// told as such.
func TestVerifyReach(t *testing.T) {
	t.Parallel()
	s := lay(t, etcdversion.Version, true)
	out := s.verifies(t, "--all")
	for _, want := range []string{s.keys[2] + ": epoch 1, up to revision 34 or more, ", "log/0000000001/000001/: epoch 1, up to index 73, revision 64 or more, "} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	all := parsed[[]verdict](t, s.verifies(t, "--all", "-o", "json"))
	if last := all[len(all)-1]; last.Index != 73 || last.Revision != 64 {
		t.Errorf("of the log it says %+v", last)
	}
	scratch := t.TempDir()
	if out := s.verifies(t, "--deep", "--scratch", scratch); !strings.Contains(out, "up to revision 64, ") {
		t.Errorf("what is restored has an exact end:\n%s", out)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

func (s *laid) verifies(t *testing.T, args ...string) string {
	t.Helper()
	out, errOut, code := s.run(append([]string{"backup", "verify"}, args...)...)
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errOut)
	}
	return out
}

// TestVerifyDeepBrokenLog: a proof of what no restore would bring back unasked is
// none.
func TestVerifyDeepBrokenLog(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*laid){
		"right behind the snapshot": func(s *laid) { gone(s.t, s.segment(4)) },
		"later":                     func(s *laid) { gone(s.t, s.segment(6)) },
		"a chain of its own":        func(s *laid) { s.move(5, 1, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lay(t, etcdversion.Version, true)
			spoil(s)
			if out, errOut, code := s.run("backup", "verify", "--deep", "--scratch", t.TempDir()); code != 1 || !strings.Contains(out, "BAD   "+s.keys[2]) {
				t.Errorf("exit code %d\n%s%s", code, out, errOut)
			}
		})
	}
	s := lay(t, etcdversion.Version, true)
	gone(t, s.segment(3))
	s.verifies(t, "--deep", "--scratch", t.TempDir())
}

// TestVerifyScratch: a directory that is not there is not made.
func TestVerifyScratch(t *testing.T) {
	t.Parallel()
	s := lay(t, etcdversion.Version, false)
	none := filepath.Join(t.TempDir(), "none")
	if _, errOut, code := s.run("backup", "verify", "--deep", "--scratch", none); code != 2 || !strings.Contains(errOut, "scratch: ") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("it is there")
	}
}
