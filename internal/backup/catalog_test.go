package backup

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

func TestListIsNewestFirst(t *testing.T) {
	st := newStore(t)
	early := mustTake(t, st, newFakeSource(9, 4096), metaAt(1, testNow.Add(time.Hour)))
	same := mustTake(t, st, newFakeSource(9, 4096), metaAt(1, testNow.Add(2*time.Hour)))
	next := mustTake(t, st, newFakeSource(2, 4096), metaAt(2, testNow))
	got, problems, err := List(t.Context(), st)
	if want := []cluster.Backup{next, same, early}; err != nil || len(problems) > 0 || !slices.Equal(got, want) {
		t.Errorf("listed %+v, %v, %v", got, problems, err)
	}
	before := st.Requests()["read"]
	if again, _, err := List(t.Context(), st, got...); err != nil || !slices.Equal(again, got) {
		t.Errorf("listed %+v, %v", again, err)
	}
	if n := st.Requests()["read"] - before; n > 0 {
		t.Errorf("%d known manifests were read again", n)
	}
}

func TestListTellsOfWhatMakesNoSense(t *testing.T) {
	st := newStore(t)
	good := mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
	elsewhere := good
	elsewhere.Object = "charters/0000000001.json"
	stem := "backups/0000000001/20260310T123000Z-1-"
	bad := map[string]any{
		stem + "0000000000000001.json": "{half",
		stem + "0000000000000002.json": good, // another's
		stem + "0000000000000003.json": func() cluster.Backup { e := elsewhere; e.Key = stem + "0000000000000003.json"; return e }(),
		stem + "0000000000000004.json": map[string]string{"key": stem + "0000000000000004.json"},
	}
	for key, v := range bad {
		data, err := json.Marshal(v)
		if s, ok := v.(string); ok {
			data = []byte(s)
		}
		if err != nil || st.Put(t.Context(), key, data) != nil {
			t.Fatal(key, err)
		}
	}
	if err := st.Put(t.Context(), "backups/notes.json", []byte("an operator's")); err != nil {
		t.Fatal(err)
	}
	got, problems, err := List(t.Context(), st)
	if err != nil || !slices.Equal(got, []cluster.Backup{good}) {
		t.Errorf("listed %+v, %v", got, err)
	}
	if len(problems) != len(bad) {
		t.Errorf("problems %v, want %d", problems, len(bad))
	}
	for _, p := range problems {
		if bad[p.Key] == nil || !errors.Is(p.Err, ErrDamaged) {
			t.Errorf("problem %v", p)
		}
	}
}

func TestAFailingStoreIsNeverNone(t *testing.T) {
	for _, op := range []string{"list", "read", "open"} {
		st := newStore(t)
		mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
		st.before = failOn(op, "")
		if _, found, _, err := Best(t.Context(), st, "c"); found || !errors.Is(err, errBroken) {
			t.Errorf("%s fails: found %t, error %v", op, found, err)
		}
	}
	st := newStore(t)
	if _, found, problems, err := Best(t.Context(), st, "c"); found || len(problems) > 0 || err != nil {
		t.Errorf("an empty store: found %t, %v, %v", found, problems, err)
	}
}

func TestBestPassesOverTheDamaged(t *testing.T) {
	st := newStore(t)
	old := mustTake(t, st, newFakeSource(1, 1<<18), metaAt(1, testNow))
	cut := mustTake(t, st, newFakeSource(2, 1<<18), metaAt(1, testNow))
	gone := mustTake(t, st, newFakeSource(3, 1<<18), metaAt(1, testNow))
	flipped := mustTake(t, st, newFakeSource(4, 1<<18), metaAt(1, testNow))
	foreign := metaAt(1, testNow)
	foreign.Cluster = "another"
	alien := mustTake(t, st, newFakeSource(5, 1<<18), foreign)

	data, err := st.Read(t.Context(), cut.Object)
	if err != nil || st.Put(t.Context(), cut.Object, data[:len(data)/2]) != nil {
		t.Fatal(err)
	}
	if err := st.Delete(t.Context(), gone.Object); err != nil {
		t.Fatal(err)
	}
	st.spoil(t, flipped.Object, 2000)

	b, found, problems, err := Best(t.Context(), st, "c")
	if err != nil || !found || b != old {
		t.Errorf("best %+v, %t, %v", b, found, err)
	}
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	if want := []string{alien.Key, flipped.Key, gone.Key, cut.Key}; !slices.Equal(keys, want) {
		t.Errorf("problems %v, want %v", keys, want)
	}
}

// Each bit of the object and each claim of the manifest counts.
func TestVerifyFindsEveryFlip(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow))
	data, err := st.Read(t.Context(), b.Object)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += 1 + len(data)/200 {
		bad := slices.Clone(data)
		bad[at] ^= 1
		if err := unpackFrom(t.Context(), strings.NewReader(string(bad)), nil, b, io.Discard); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: error %v", at, err)
		}
	}
	for name, change := range map[string]func(*cluster.Backup){
		"size up":     func(b *cluster.Backup) { b.Size += page },
		"size down":   func(b *cluster.Backup) { b.Size -= page },
		"hash":        func(b *cluster.Backup) { b.SHA256 = b.StoredSHA },
		"stored size": func(b *cluster.Backup) { b.StoredSize++ },
		"stored hash": func(b *cluster.Backup) { b.StoredSHA = b.SHA256 },
	} {
		lie := b
		change(&lie)
		if err := Verify(t.Context(), st, lie); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	longer := io.MultiReader(strings.NewReader(string(data)), strings.NewReader("more"))
	if err := unpackFrom(t.Context(), longer, nil, b, io.Discard); !errors.Is(err, ErrDamaged) {
		t.Errorf("bytes behind the end: error %v", err)
	}
	b.Compression = "none"
	if err := Verify(t.Context(), st, b); err == nil {
		t.Error("an unknown compression verifies")
	}
}

// A store that breaks off in the middle is not the backup's fault.
func TestABrokenReadIsNotDamage(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow))
	data, err := st.Read(t.Context(), b.Object)
	if err != nil {
		t.Fatal(err)
	}
	broken := io.MultiReader(strings.NewReader(string(data[:len(data)/2])), failing{errBroken})
	if err := unpackFrom(t.Context(), broken, nil, b, io.Discard); !errors.Is(err, errBroken) || errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Verify(ended, st, b); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

func TestSeededHoldsTheManifestToTheCharter(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
	seed := cluster.Seed{Kind: cluster.SeedBackup, Backup: b.Key, SHA256: b.SHA256}
	if got, err := Seeded(t.Context(), st, seed); err != nil || got != b {
		t.Errorf("seeded %+v, %v", got, err)
	}
	seed.SHA256 = b.StoredSHA
	if _, err := Seeded(t.Context(), st, seed); !errors.Is(err, ErrDamaged) {
		t.Errorf("another hash: %v", err)
	}
	seed.Backup = strings.Replace(b.Key, "0000000001", "0000000002", 1)
	if _, err := Seeded(t.Context(), st, seed); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("not there: %v", err)
	}
	if _, err := Seeded(t.Context(), st, cluster.Seed{Kind: cluster.SeedEmpty}); err == nil {
		t.Error("an empty seed has a backup")
	}
}

func TestPruneTakesTheManifestFirst(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
	kept := mustTake(t, st, newFakeSource(2, 4096), metaAt(1, testNow))
	st.before = failOn("delete", b.Object)
	if err := Prune(t.Context(), st, []cluster.Backup{b}); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	if keys, want := st.keys(t), []string{b.Object, kept.Object, kept.Key}; !sameKeys(keys, want) {
		t.Errorf("left %v, want %v", keys, want)
	}
	st.before = nil
	if err := Prune(t.Context(), st, []cluster.Backup{b, b}); err != nil {
		t.Error(err)
	}
	if keys, want := st.keys(t), []string{kept.Object, kept.Key}; !sameKeys(keys, want) {
		t.Errorf("left %v, want %v", keys, want)
	}
	stray := kept
	stray.Object = "charters/0000000001.json"
	if err := Prune(t.Context(), st, []cluster.Backup{stray}); err == nil {
		t.Error("a manifest led to an object that is not a backup's")
	}
}

func sameKeys(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestRubbish(t *testing.T) {
	const stem = "backups/0000000001/20260310T123000Z-1-000000000000000"
	object := func(key string, age time.Duration) store.Object {
		return store.Object{Key: key, ModTime: testNow.Add(-age)}
	}
	day := 24 * time.Hour
	got := rubbish([]store.Object{
		object(stem+"1.db.zst", 2*day),                              // old, no manifest
		object(stem+"2.db.zst", 2*day),                              // has one
		object(stem+"2.json", 2*day),                                //
		object(stem+"3.db.zst", day),                                // may be in the making
		object("backups/0000000001/mine.db.zst", 9*day),             // not our naming
		object("backups/0000000001/notes.json", -900*day),           // nor this: it is no clock of ours
		object(stem+"4.json", 0),                                    // the newest of the store
		object("other/20260310T123000Z-1-5.db.zst", 9000*time.Hour), // elsewhere
	})
	if want := []string{stem + "1.db.zst"}; !slices.Equal(got, want) {
		t.Errorf("rubbish %v, want %v", got, want)
	}
	if got := rubbish([]store.Object{object(stem+"1.db.zst", 900*day)}); len(got) > 0 {
		t.Errorf("with nothing newer, %v is rubbish", got)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), "file://"+dir, "c")
	if err != nil {
		t.Fatal(err)
	}
	st := &faulty{Store: s}
	lost := mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
	if err := st.Delete(t.Context(), lost.Key); err != nil {
		t.Fatal(err)
	}
	kept := mustTake(t, st, newFakeSource(2, 4096), metaAt(1, testNow))
	if swept, err := Sweep(t.Context(), st); err != nil || len(swept) > 0 {
		t.Errorf("swept %v of today, %v", swept, err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "c", lost.Object), old, old); err != nil {
		t.Fatal(err)
	}
	st.before = failOn("read", manifestOf(lost.Object))
	if swept, err := Sweep(t.Context(), st); len(swept) > 0 || !errors.Is(err, errBroken) {
		t.Errorf("swept %v without knowing, %v", swept, err)
	}
	st.before = nil
	if swept, err := Sweep(t.Context(), st); err != nil || !slices.Equal(swept, []string{lost.Object}) {
		t.Errorf("swept %v, %v", swept, err)
	}
	if keys, want := st.keys(t), []string{kept.Object, kept.Key}; !sameKeys(keys, want) {
		t.Errorf("left %v, want %v", keys, want)
	}
}
