package store

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestPaced: a file has what was written to it, and little of it is not on its
// way to the disk at any time.
func TestPaced(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, 5*paceEvery+12345)
	rand.NewChaCha8([32]byte{}).Read(want)
	p := &paced{f: f}
	for at := 0; at < len(want); at += 70000 {
		if _, err := p.Write(want[at:min(at+70000, len(want))]); err != nil {
			t.Fatal(err)
		}
		if p.written-p.begun >= paceEvery || p.begun-p.done > 2*paceEvery {
			t.Fatalf("of %d bytes %d are on their way, %d on the disk", p.written, p.begun, p.done)
		}
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes differ from the %d written: %v", len(got), len(want), err)
	}
}
