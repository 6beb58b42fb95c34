package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// keysIn makes fresh keys and returns all of them.
func keysIn(t testing.TB) seal.Keys {
	t.Helper()
	dir := t.TempDir()
	if err := seal.Generate(dir); err != nil {
		t.Fatal(err)
	}
	recipient, err := os.ReadFile(filepath.Join(dir, "recipient.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return seal.Keys{Recipients: []string{strings.TrimSpace(string(recipient))}, IdentityFile: filepath.Join(dir, "identity.txt"),
		SignKeyFile: filepath.Join(dir, "sign.pem")}
}

func best(t *testing.T, st Store) (cluster.Backup, []Problem, error) {
	t.Helper()
	b, found, problems, err := Best(t.Context(), st, "c")
	if err == nil && !found {
		err = errors.New("none")
	}
	return b, problems, err
}

func TestSealedBackup(t *testing.T) {
	raw, keys := newStore(t), keysIn(t)
	st := Sealed(raw, seal.New(keys))
	src := newFakeSource(7, 1<<20)
	b := mustTake(t, st, src, metaAt(3, testNow))
	if b.Encryption != "age" || len(b.Signer) != 16 || !strings.HasSuffix(b.Object, ".db.zst.age") {
		t.Errorf("manifest %+v", b)
	}
	if read, err := Read(t.Context(), st, b.Key); err != nil || read != b {
		t.Errorf("it reads %+v, %v", read, err)
	}
	object, err := raw.Store.Read(t.Context(), b.Object)
	if err != nil || int64(len(object)) != b.StoredSize || !bytes.HasPrefix(object, []byte("age-encryption.org/v1\n")) {
		t.Errorf("the object has %d bytes, %v", len(object), err)
	}
	var out bytes.Buffer
	if err := unpack(t.Context(), st, b, &out); err != nil || !bytes.Equal(out.Bytes(), src.db) {
		t.Errorf("%d bytes come back: %v", out.Len(), err)
	}
	if err := Verify(t.Context(), raw, b); !errors.Is(err, seal.ErrNoIdentity) || errors.Is(err, ErrDamaged) {
		t.Errorf("without keys: %v", err) // the backup is not to blame
	}
	if found, _, err := best(t, st); err != nil || found != b {
		t.Errorf("best is %+v, %v", found, err)
	}
	if swept, err := Sweep(t.Context(), st); err != nil || len(swept) > 0 {
		t.Errorf("swept %v, %v", swept, err)
	}
	for at := 0; at < len(object); at += 1 + at/20 { // wherever a bit flips, the header's above all
		raw.spoil(t, b.Object, at)
		if err := Verify(t.Context(), st, b); !errors.Is(err, ErrDamaged) {
			t.Errorf("flipped at %d: %v", at, err)
		}
		raw.spoil(t, b.Object, at)
	}
	if err := Prune(t.Context(), st, []cluster.Backup{b}); err != nil {
		t.Error(err)
	}
	for _, key := range raw.keys(t) {
		if strings.HasPrefix(key, "backups/") {
			t.Errorf("pruned, and there is still %s", key)
		}
	}
}

// What a manifest says is what was signed: any change of it, another's
// signature, and none at all are refused.
func TestManifestIsAuthentic(t *testing.T) {
	keys, others := keysIn(t), keysIn(t)
	raw := newStore(t)
	st := Sealed(raw, seal.New(keys))
	b := mustTake(t, st, newFakeSource(7, 4096), metaAt(3, testNow))
	whole, err := raw.Store.Read(t.Context(), b.Key)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(*cluster.Backup)) []byte {
		c := b
		change(&c)
		data, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return append(append(data, '\n'), whole[bytes.Index(whole, []byte("\n{\"signature"))+1:]...)
	}
	another, err := encodeManifest(b, seal.New(others))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := encodeManifest(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		data []byte
		want error
	}{
		"as it was":                 {whole, nil},
		"made again of its values":  {edit(func(*cluster.Backup) {}), nil},
		"another revision":          {edit(func(b *cluster.Backup) { b.Revision++ }), ErrUntrusted},
		"another hash":              {edit(func(b *cluster.Backup) { b.SHA256 = strings.Repeat("0", 64) }), ErrUntrusted},
		"another cluster":           {edit(func(b *cluster.Backup) { b.Cluster = "d" }), ErrUntrusted},
		"another's signature":       {another, ErrUntrusted},
		"no signature":              {plain, ErrUntrusted},
		"an empty signature":        {append(bytes.Clone(plain), "\n{}"...), ErrUntrusted},
		"half a signature":          {whole[:len(whole)-9], ErrDamaged},
		"something behind":          {append(bytes.Clone(whole), "{}"...), ErrDamaged},
		"white space in the middle": {bytes.Replace(whole, []byte("{\n"), []byte("{\n "), 1), ErrUntrusted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := raw.Put(t.Context(), b.Key, tt.data); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(t.Context(), st, b.Key); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			all, problems, err := List(t.Context(), st)
			if good := tt.want == nil; err != nil || (len(all) == 1) != good || (len(problems) == 0) != good {
				t.Errorf("the list has %d and %v: %v", len(all), problems, err)
			}
		})
	}
}

// Plain backups of before count only where that is allowed.
func TestUnsignedBackups(t *testing.T) {
	raw, keys := newStore(t), keysIn(t)
	old := mustTake(t, raw, newFakeSource(7, 4096), metaAt(1, testNow))
	strict := Sealed(raw, seal.New(keys))
	if b, problems, err := best(t, strict); err == nil || len(problems) != 1 || !errors.Is(problems[0].Err, ErrUntrusted) {
		t.Errorf("best is %+v, %v, %v", b, problems, err)
	}
	if _, err := Seeded(t.Context(), strict, cluster.Seed{Kind: cluster.SeedBackup, Backup: old.Key, SHA256: old.SHA256}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("as a seed: %v", err)
	}
	keys.AllowUnsigned = true
	lenient := Sealed(raw, seal.New(keys))
	if b, _, err := best(t, lenient); err != nil || b != old {
		t.Errorf("allowed, best is %+v, %v", b, err)
	}
	mixed := mustTake(t, lenient, newFakeSource(9, 4096), metaAt(1, testNow))
	if b, _, err := best(t, strict); err != nil || b != mixed {
		t.Errorf("beside a signed one, best is %+v, %v", b, err)
	}
}

// A store whose newest backups are gone is not restored from, unless that is
// allowed; forged notes hold nobody up.
func TestRolledBackStore(t *testing.T) {
	raw, keys := newStore(t), keysIn(t)
	strict := Sealed(raw, seal.New(keys))
	older := mustTake(t, strict, newFakeSource(7, 4096), metaAt(1, testNow))
	newer := mustTake(t, strict, newFakeSource(9, 4096), metaAt(1, testNow))
	forged := reach{99, 1}.key()
	if err := raw.Put(t.Context(), forged, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if b, _, err := best(t, strict); err != nil || b != newer {
		t.Fatalf("best is %+v, %v", b, err)
	}
	// A note is of one cluster: copied to another it is forged.
	foreign, err := seal.New(keys).Sign(noteMessage("d", reach{88, 1}.key()))
	if err == nil {
		err = raw.Put(t.Context(), reach{88, 1}.key(), foreign)
	}
	if err != nil {
		t.Fatal(err)
	}
	if b, _, err := best(t, strict); err != nil || b != newer {
		t.Fatalf("best is %+v, %v", b, err)
	}
	for _, key := range []string{newer.Key, newer.Object} {
		if err := raw.Store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if b, _, err := best(t, strict); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "revision 7") || !strings.Contains(err.Error(), "revision 9") {
		t.Errorf("rolled back, best is %+v, %v", b, err)
	}
	keys.AllowUnsigned = true
	if b, _, err := best(t, Sealed(raw, seal.New(keys))); err != nil || b != older {
		t.Errorf("allowed, best is %+v, %v", b, err)
	}
	raw.before = failOn("list", notePrefix)
	if _, _, err := best(t, strict); !errors.Is(err, errBroken) {
		t.Errorf("notes that cannot be listed: %v", err)
	}
}

// Notes do not grow for ever.
func TestNotesAreForgotten(t *testing.T) {
	raw := newStore(t)
	st := Sealed(raw, seal.New(keysIn(t)))
	for i := range keptNotes + 3 {
		if err := note(t.Context(), st, cluster.Backup{Cluster: "c", Epoch: 1, Revision: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := Prune(t.Context(), st, nil); err != nil {
		t.Fatal(err)
	}
	notes, err := notesOf(t.Context(), st)
	if err != nil || len(notes) != keptNotes || notes[0].revision != keptNotes+2 {
		t.Errorf("%d notes, %v", len(notes), err)
	}
}

// A key that cannot be read is nobody's damage: nothing older is taken for it.
func TestLostKeys(t *testing.T) {
	raw, keys := newStore(t), keysIn(t)
	st := Sealed(raw, seal.New(keys))
	mustTake(t, st, newFakeSource(7, 4096), metaAt(1, testNow))
	for _, file := range []string{keys.IdentityFile, keys.SignKeyFile} {
		hidden := file + ".away"
		if err := os.Rename(file, hidden); err != nil {
			t.Fatal(err)
		}
		if b, problems, err := best(t, st); err == nil || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUntrusted) || len(problems) > 0 {
			t.Errorf("without %s: %+v, %v, %v", filepath.Base(file), b, problems, err)
		}
		if err := os.Rename(hidden, file); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(keys.SignKeyFile)
	if _, err := Take(t.Context(), newFakeSource(8, 4096), st, metaAt(1, testNow)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("taking without the signing key: %v", err)
	}
}
