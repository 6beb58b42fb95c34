package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
)

var clusters atomic.Int64

// fresh opens the store for a cluster that no test has used.
func fresh(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, fmt.Sprintf("cluster-%d", clusters.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return fresh(t, "mem://suite?prefix=a/b/") })
}

func TestDirectory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return fresh(t, "file://"+t.TempDir()+"?prefix=/a/b") })
}

func TestS3(t *testing.T) {
	moto.Bucket(t, moto.Start(t), "suite")
	storetest.Run(t, func(t *testing.T) *store.Store { return fresh(t, "s3://suite?prefix=a/b") })
}

func TestValidate(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket": "", "s3://bucket/": "", "s3://bucket?prefix=a/b/&region=eu-west-1": "", "gs://b": "", "azblob://c?storage_account=x": "",
		"file:///var/store": "", "file://localhost/var/store?create_dir=true": "", "mem://x": "",
		"ftp://x":                       `unknown scheme "ftp"`,
		"/var/store":                    `unknown scheme ""`,
		"s3://":                         "missing bucket",
		"s3:bucket":                     "missing bucket",
		"s3://bucket/a/b":               "want s3://bucket?prefix=a/b",
		"s3://bucket:80":                "no port",
		"s3://bucket?regoin=x":          `unknown parameter "regoin"`,
		"s3://bucket?fips=maybe":        `"fips" is neither`,
		"s3://bucket?region=a&region=b": `"region" is given 2 times`,
		"s3://bucket?prefix=a/../b":     "prefix: ",
		"s3://AK:hunter2@bucket":        "credentials do not belong",
		"s3://AK:hunter2@bu cket":       "not a URL",
		"s3://AK:hunter2/x@bucket":      "not a URL",
		"file://store":                  "relative directory",
		"file:store":                    "relative directory",
		"file://":                       "relative directory",
		"file:///":                      "root directory",
		"gs://b?region=x":               `unknown parameter "region"`,
	} {
		err := store.Validate(url)
		switch {
		case err == nil && want != "", err != nil && (want == "" || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", url, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func TestPrefixAndClusterKeepObjectsApart(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []string{"mem://apart", "file://" + dir} {
		paths := []string{}
		for _, place := range [][2]string{{"", "one"}, {"", "two"}, {"?prefix=p", "one"}, {"?prefix=p/q", "one"}} {
			s, err := store.Open(t.Context(), base+place[0], place[1])
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Create(t.Context(), "same/key", []byte("x")); err != nil {
				t.Errorf("%s for %s: %v", s, place[1], err)
			}
			all, err := s.List(t.Context(), "")
			if err != nil || len(all) != 1 || all[0].Key != "same/key" {
				t.Errorf("%s for %s lists %v, %v", s, place[1], all, err)
			}
			paths = append(paths, s.String())
		}
		if got := strings.Join(paths, " "); got != strings.Join([]string{base, base, base + "?prefix=p", base + "?prefix=p/q"}, " ") {
			t.Errorf("names: %s", got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "p", "q", "one", "same", "key")); err != nil {
		t.Error(err)
	}
	// With or without slashes at its ends, a prefix is the same one.
	for _, prefix := range []string{"p", "p/", "/p/"} {
		s, err := store.Open(t.Context(), "mem://apart?prefix="+prefix, "one")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context(), "same/key"); err != nil {
			t.Error(err)
		}
	}
}

func TestClusterNameCannotEscape(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "-a", "a b"} {
		if s, err := store.Open(t.Context(), "mem://names", name); err == nil {
			t.Errorf("cluster %q was taken by %s", name, s)
		}
	}
}
