package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/store"
	"golang.org/x/sync/errgroup"
)

// listPages has more keys than any store's page.
func listPages(t *testing.T, s *store.Store) {
	const n = 1100
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error { return s.Put(t.Context(), fmt.Sprintf("many/%02d/%04d", i%7, i), []byte("x")) })
	}
	must(t, g.Wait())
	all, err := s.List(t.Context(), "many/")
	must(t, err)
	keys := map[string]bool{}
	for _, o := range all {
		keys[o.Key] = true
		if o.Size != 1 || o.ModTime.IsZero() {
			t.Fatalf("an entry without a size or a time: %+v", o)
		}
	}
	if len(all) != n || len(keys) != n {
		t.Errorf("listed %d entries and %d keys of %d", len(all), len(keys), n)
	}
	if !slices.IsSortedFunc(all, func(a, b store.Object) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("the listing is not sorted")
	}
}

func listPrefix(t *testing.T, s *store.Store) {
	for _, key := range []string{"a/b/1", "a/b/2", "a/bc", "a/c", "b"} {
		must(t, s.Put(t.Context(), key, []byte(key)))
	}
	for prefix, keys := range map[string]string{
		"": "a/b/1 a/b/2 a/bc a/c b", "a": "a/b/1 a/b/2 a/bc a/c", "a/b": "a/b/1 a/b/2 a/bc",
		"a/b/": "a/b/1 a/b/2", "a/b/1": "a/b/1", "a/b/1/": "", "x": "", "x/y/": "", "..": "", "../": "", "a/../": "",
	} {
		all, err := s.List(t.Context(), prefix)
		must(t, err)
		var got []string
		for _, o := range all {
			got = append(got, o.Key)
		}
		if strings.Join(got, " ") != keys {
			t.Errorf("prefix %q lists %q, want %q", prefix, got, keys)
		}
	}
}

func oddKeys(t *testing.T, s *store.Store) {
	keys := []string{
		"with space", "plus+plus", "per%cent", "%2E", "%2e%2F", "question?mark", "hash#", "amp&and=eq", "quote'\"", "ünïcödé/ключ/鍵",
		".hidden", "dir/.tmp-1", "..x", "a..", "b../c", "...", "colon:semi;comma,", "star*", "brace{}[]|^`", "~tilde", "back\\slash",
		"<angle>", "under__0y", "a=b@c!$()", strings.Repeat("long", 50),
	}
	for _, key := range keys {
		must(t, s.Create(t.Context(), key, []byte(key)))
	}
	for _, key := range keys {
		want(t, s, key, key)
	}
	all, err := s.List(t.Context(), "")
	must(t, err)
	var got []string
	for _, o := range all {
		got = append(got, o.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("listed %q\nwant %q", got, keys)
	}
	for _, key := range keys {
		must(t, s.Delete(t.Context(), key))
	}
	if all, err := s.List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("left after deleting all: %v, %v", all, err)
	}
}

func badKeys(t *testing.T, s *store.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "nul\x00", "line\nbreak", "\xff", "a__0x41__", strings.Repeat("x", 1000),
	} {
		if err := s.Put(t.Context(), key, nil); err == nil {
			t.Errorf("key %q was taken", key)
		}
		if _, err := s.Read(t.Context(), key); err == nil {
			t.Errorf("key %q was read", key)
		}
	}
}
