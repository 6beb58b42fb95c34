package tlsfiles

import (
	"os"
	"slices"
	"testing"
)

func TestFingerprint(t *testing.T) {
	a, b := newCA(t, "a"), newCA(t, "b")
	paths := []string{a.path, b.path}
	sum := func(whole bool) string {
		t.Helper()
		s, err := Fingerprint(paths)
		if (err == nil) != whole {
			t.Errorf("whole: %v, want %v", err, whole)
		}
		return s
	}
	first := sum(true)
	if sum(true) != first {
		t.Error("two fingerprints of the same files")
	}
	put(t, a.path, slices.Concat(a.pem, b.pem))
	bundle := sum(true)
	put(t, a.path, slices.Concat(a.pem, b.pem[:len(b.pem)/2]))
	half := sum(false)
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	gone := sum(false)
	if all := []string{first, bundle, half, gone}; len(slices.Compact(slices.Sorted(slices.Values(all)))) != 4 {
		t.Errorf("want four fingerprints: %v", all)
	}
	put(t, a.path, a.pem)
	if sum(true) != first {
		t.Error("the old content has another fingerprint")
	}
	paths[0], paths[1] = paths[1], paths[0]
	if sum(true) == first {
		t.Error("which file holds what makes no difference")
	}
}
