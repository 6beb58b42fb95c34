package backup

import (
	"errors"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/seal"
)

// TestOrphans: data without a manifest is told of, plain or sealed; whether there is
// a manifest that the listing does not show is asked, and not guessed.
func TestOrphans(t *testing.T) {
	raw, keys := newStore(t), keysIn(t)
	sealed := mustTake(t, Sealed(raw, seal.New(keys)), newFakeSource(7, 4096), metaAt(1, testNow))
	plain := mustTake(t, raw, newFakeSource(8, 4096), metaAt(1, testNow))
	whole := mustTake(t, raw, newFakeSource(9, 4096), metaAt(1, testNow))
	if err := raw.Put(t.Context(), "backups/0000000001/readme", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := Orphans(t.Context(), raw); err != nil || len(got) > 0 {
		t.Errorf("of whole backups: %v, %v", got, err)
	}
	for _, key := range []string{sealed.Key, plain.Key} {
		if err := raw.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Orphans(t.Context(), raw); err != nil || !slices.Equal(got, []string{sealed.Object, plain.Object}) {
		t.Errorf("got %v, %v", got, err)
	}

	manifest, err := raw.Read(t.Context(), whole.Key)
	if err == nil {
		err = raw.Delete(t.Context(), whole.Key)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw.before = func(op, key string) error {
		if op == "read" && key == whole.Key {
			return raw.Store.Put(t.Context(), key, manifest) // written since it was listed
		}
		return nil
	}
	if got, err := Orphans(t.Context(), raw); err != nil || slices.Contains(got, whole.Object) {
		t.Errorf("of one that is just written: %v, %v", got, err)
	}
	away := errors.New("away")
	raw.before = func(op, key string) error {
		if op == "read" {
			return away
		}
		return nil
	}
	if got, err := Orphans(t.Context(), raw); !errors.Is(err, away) {
		t.Errorf("a store that fails: %v, %v", got, err)
	}
}
