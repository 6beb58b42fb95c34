package backup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// A copy is a store that backups are restored from, with the same keys, and
// copying needs none.
func TestCopy(t *testing.T) {
	raw, to, keys := newStore(t), newStore(t), keysIn(t)
	st := Sealed(raw, seal.New(keys))
	first := mustTake(t, st, newFakeSource(7, 4096), metaAt(1, testNow))
	second := mustTake(t, st, newFakeSource(9, 4096), metaAt(2, testNow))
	for _, key := range []string{"log/0000000002/000001/0000000001.seg", "log/0000000002/000001/0000000002.seg", "ledger/0000000001/charter.json"} {
		if err := raw.Put(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	orphan := strings.Replace(first.Object, "-7-", "-6-", 1)
	if err := raw.Put(t.Context(), orphan, []byte("being uploaded")); err != nil {
		t.Fatal(err)
	}
	var order []string
	to.before = func(op, key string) error {
		if op == "upload" || op == "create" {
			order = append(order, key)
		}
		return nil
	}
	if n, err := Copy(t.Context(), raw, to); err != nil || n != 8 {
		t.Errorf("copied %d, %v", n, err)
	}
	want := []string{first.Object, first.Key, second.Object, second.Key,
		"log/0000000002/000001/0000000001.seg", "log/0000000002/000001/0000000002.seg", reachOf(first).key(), reachOf(second).key()}
	if !slices.Equal(order, want) {
		t.Errorf("copied\n%s, want\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
	}
	if n, err := Copy(t.Context(), raw, to); err != nil || n != 0 {
		t.Errorf("again it copied %d, %v", n, err)
	}
	if b, _, err := best(t, Sealed(to, seal.New(keys))); err != nil || b != second {
		t.Errorf("best of the copy is %+v, %v", b, err)
	}
}

// A copy that is behind says so: its notes come last.
func TestCopyThatIsBehind(t *testing.T) {
	raw, to, keys := newStore(t), newStore(t), keysIn(t)
	st := Sealed(raw, seal.New(keys))
	first := mustTake(t, st, newFakeSource(7, 4096), metaAt(1, testNow))
	if _, err := Copy(t.Context(), raw, to); err != nil {
		t.Fatal(err)
	}
	second := mustTake(t, st, newFakeSource(9, 4096), metaAt(1, testNow))
	for _, fault := range []struct{ op, key string }{{"upload", second.Object}, {"create", second.Key}, {"list", prefix}} {
		to.before = failOn(fault.op, fault.key)
		if _, err := Copy(t.Context(), raw, to); !errors.Is(err, errBroken) {
			t.Errorf("%s %s fails: %v", fault.op, fault.key, err)
		}
		to.before = nil
		all, problems, err := List(t.Context(), to)
		if err != nil || len(problems) > 0 || len(all) != 1 || all[0] != first {
			t.Errorf("after %s %s: %v, %v, %v", fault.op, fault.key, all, problems, err)
		}
	}
	if n, err := Copy(t.Context(), raw, to); err != nil || n == 0 {
		t.Errorf("copied %d, %v", n, err)
	}
	if b, _, err := best(t, Sealed(to, seal.New(keys))); err != nil || b != second {
		t.Errorf("best of the copy is %+v, %v", b, err)
	}
}

// Damage does not spread, nor does it stop the rest.
func TestCopyOfDamage(t *testing.T) {
	raw, to := newStore(t), newStore(t)
	bad := mustTake(t, raw, newFakeSource(7, 4096), metaAt(1, testNow))
	good := mustTake(t, raw, newFakeSource(9, 4096), metaAt(1, testNow))
	raw.spoil(t, bad.Object, 5)
	if n, err := Copy(t.Context(), raw, to); !errors.Is(err, ErrDamaged) || n != 2 {
		t.Errorf("copied %d, %v", n, err)
	}
	if all, _, err := List(t.Context(), to); err != nil || !slices.Equal(all, []cluster.Backup{good}) {
		t.Errorf("the copy holds %v, %v", all, err)
	}
	for _, number := range []string{"1", "2"} {
		if err := raw.Put(t.Context(), "log/0000000001/000001/000000000"+number+".seg", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	to.before = failOn("upload", "log/0000000001/000001/0000000001.seg")
	if n, err := Copy(t.Context(), raw, to); !errors.Is(err, errBroken) || n != 0 {
		t.Errorf("copied %d, %v", n, err) // the second segment waits for the first
	}
	to.before = nil
	raw.spoil(t, bad.Object, 5)
	if err := to.Put(t.Context(), good.Object, []byte("cut")); err != nil { // of another size: made good
		t.Fatal(err)
	}
	if n, err := Copy(t.Context(), raw, to); err != nil || n != 5 {
		t.Errorf("copied %d, %v", n, err)
	}
	if err := Verify(t.Context(), to, good); err != nil {
		t.Error(err)
	}
}
