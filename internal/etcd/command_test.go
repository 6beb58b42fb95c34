package etcd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"3.7.3":   "3.7.3",
		"v3.5.33": "3.5.33",
		"etcd Version: 3.6.0-rc.2\nGit SHA: 1.2.3\n": "3.6.0",
		"sleep (GNU coreutils) 9.1":                  "",
		"":                                           "",
	} {
		v, err := ParseVersion(in)
		if (err == nil) != (want != "") || (err == nil && v.String() != want) {
			t.Errorf("ParseVersion(%q) = %s, %v; want %q", in, v, err, want)
		}
	}
	if !(Version{Major: 3, Minor: 5, Patch: 33}).Less(Version{Major: 3, Minor: 6, Patch: 0}) || (Version{Major: 3, Minor: 6, Patch: 0}).Less(Version{Major: 3, Minor: 6, Patch: 0}) || (Version{Major: 4, Minor: 0, Patch: 0}).Less(Version{Major: 3, Minor: 9, Patch: 9}) {
		t.Error("Less does not order by age")
	}
}

func TestCheckOnTheRealBinary(t *testing.T) {
	t.Setenv("ETCD_NAME", "from-the-environment")
	t.Setenv("ETCD_CONFIG_FILE", "/nowhere")
	cases := []struct {
		flags []string
		wants string // in the error; empty: none
	}{
		{nil, ""},
		{[]string{"--quota-backend-bytes=8589934592", "--snapshot-count", "5000", "-pre-vote"}, ""},
		{[]string{"--pre-vote", "false"}, ""},
		{[]string{"--max-wals=7", "--enable-v2=true"}, "etcd 3.7.3: asking "},
		{[]string{"--max-wals=7", "--enable-v2=true"}, "unknown flag --enable-v2"},
		{[]string{"--experimental-initial-corrupt-check"}, "unknown flag --experimental-initial-corrupt-check"},
		{[]string{"--snapshot-count=many"}, "snapshot-count"},
		{[]string{"--pre-vote=perhaps"}, "pre-vote"},
		{[]string{"stray"}, `"stray"`},
	}
	for _, c := range cases {
		v, err := builtIn(t).Check(limit(t), c.flags)
		switch {
		case c.wants == "" && (err != nil || v != sevenThree):
			t.Errorf("Check(%q) = %s, %v; want %s", c.flags, v, err, sevenThree)
		case c.wants != "" && (err == nil || !strings.Contains(err.Error(), c.wants)):
			t.Errorf("Check(%q): %v; want %q in it", c.flags, err, c.wants)
		}
	}
}

func TestCheckBoundsABinaryThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etcd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec tail -f /dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Binary{Path: path}).Check(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Check: %v; want the deadline", err)
	}
}

// Whatever Args makes, the version that it is made for takes.
func TestArgsAreKnownToTheBinary(t *testing.T) {
	files := TLSFiles{Cert: "c", Key: "k", CA: "a"}
	c := Config{Name: "a", DataDir: "/d", AdvertiseHost: "127.0.0.60", ClientPort: 1, PeerPort: 2, Client: files, Peer: files, ClientCertAuth: true}
	args := Args(sevenThree, c, Start{State: StateNew, InitialCluster: "a=https://127.0.0.60:2", Token: "t", ForceNewCluster: true})
	if _, err := builtIn(t).Check(limit(t), args); err != nil {
		t.Error(err)
	}
}
