package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// TestElder: a log that an older etcd has written is applied by an etcd of its
// minor, and what is built of it is the source: keys at any moment, and once our
// etcd serves it leases, users and roles.
func TestElder(t *testing.T) {
	for _, version := range []string{etcdbin.V35, etcdbin.V36} {
		t.Run(version, func(t *testing.T) {
			etcd := []string{etcdbin.Etcd(t, version)}
			l := underLoadOf(t, version, etcd, 2*time.Second)
			arc := newArchive(t, l)
			t.Logf("%d segments, %d entries, revision %d", len(arc.segments), len(l.entries), l.end.revision)
			if r, err := arc.build(t, Cut{}, newNode(t, "3", filepath.Join(t.TempDir(), "m")).target(0)); !errors.Is(err, ErrOtherMinor) {
				t.Errorf("without an etcd of %s: %+v, %v", version, r, err)
			}
			if end, why, err := Behind(t.Context(), arc.src, arc.base); err != nil || why == "" || end.Index != 0 {
				t.Errorf("without an etcd of %s the log ends at %+v, %q, %v", version, end, why, err)
			}
			arc.src.Etcds = func(of string) ([]string, error) {
				if !SameMinor(of, version) {
					return nil, fmt.Errorf("asked for %s", of)
				}
				return etcd, nil
			}
			t.Run("the end", func(t *testing.T) { arc.theEnd(t, l) })
			t.Run("revisions", func(t *testing.T) { arc.elderRevisions(t, l) })
			t.Run("rounds", func(t *testing.T) { arc.elderRounds(t, l) })
			t.Run("an index", func(t *testing.T) { arc.elderIndex(t) })
			t.Run("behind the end", func(t *testing.T) { arc.behindTheEnd(t, l) })
			t.Run("an etcd that ends", func(t *testing.T) { arc.elderEnds(t) })
		})
	}
}

// elderRevisions compares moments with what the source said of them.
func (arc *archive) elderRevisions(t *testing.T, l *load) {
	later := slices.DeleteFunc(slices.Clone(l.samples), func(s sample) bool { return s.revision <= arc.base.Revision+10 })
	const moments = 8
	for i := range moments {
		s := later[i*(len(later)-1)/(moments-1)]
		dir := filepath.Join(t.TempDir(), "m")
		began := time.Now()
		r, err := arc.build(t, Cut{Revision: s.revision}, newNode(t, "3", dir).target(0))
		if err != nil || r.Revision != s.revision {
			t.Fatalf("built %+v, want revision %d: %v", r, s.revision, err)
		}
		t.Logf("revision %d in %s", s.revision, time.Since(began).Round(time.Millisecond))
		a := openCopy(t, filepath.Join(dir, "member", "snap", "db"))
		checkHash(t, a, s)
		closeIt(t, a)
		if left, err := filepath.Glob(filepath.Join(dir, "member", "snap", "db*")); err != nil || len(left) != 1 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

// elderRounds: several runs of the other etcd, one after the other, are one replay.
func (arc *archive) elderRounds(t *testing.T, l *load) {
	plans, err := Survey(t.Context(), arc.src, Cut{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{ctx: t.Context(), src: arc.src, plan: plans[0], db: filepath.Join(t.TempDir(), "db"), round: 60 << 10}
	copyFile(t, b.db, l.db)
	defer b.clear()
	rounds := 0
	etcds := arc.src.Etcds
	b.src.Etcds = func(v string) ([]string, error) { rounds++; return etcds(v) }
	if err := errors.Join(b.walk(nil), b.end()); err != nil {
		t.Fatal(err)
	}
	if b.at.Revision != l.end.revision || b.at.Checked != l.end.revision || rounds < 3 {
		t.Errorf("after %d rounds: %+v, want revision %d", rounds, b.at, l.end.revision)
	}
}

func (arc *archive) elderIndex(t *testing.T) {
	at := arc.segments[len(arc.segments)/2].First + 77
	r, err := arc.build(t, Cut{Index: at}, newNode(t, "3", filepath.Join(t.TempDir(), "m")).target(0))
	if err != nil || r.Index != at {
		t.Errorf("built %+v, want index %d: %v", r, at, err)
	}
}

// elderEnds: an etcd that does not come through is one clear error, and nothing is
// left.
func (arc *archive) elderEnds(t *testing.T) {
	whole := arc.src.Etcds
	defer func() { arc.src.Etcds = whole }()
	arc.src.Etcds = func(string) ([]string, error) {
		return []string{"/bin/sh", "-c", "echo panic: bad entry >&2; exit 2"}, nil
	}
	dir := t.TempDir()
	r, err := arc.build(t, Cut{}, newNode(t, "3", filepath.Join(dir, "m")).target(0))
	if !errors.Is(err, ErrUnreplayable) {
		t.Errorf("built %+v, %v", r, err)
	}
	t.Log(err)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
