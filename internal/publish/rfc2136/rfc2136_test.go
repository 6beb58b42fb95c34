package rfc2136_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/named"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/publishtest"
	"github.com/quorate/quorate/internal/publish/rfc2136"
)

func key(text string) func() (rfc2136.Key, error) {
	return func() (rfc2136.Key, error) { return rfc2136.ReadKey("", text) }
}

func textOf(s *named.Server) string {
	return fmt.Sprintf("%s:%s:%s", strings.TrimSuffix(s.KeyAlgorithm, "."), s.KeyName, s.KeySecret)
}

func keyOf(s *named.Server) func() (rfc2136.Key, error) { return key(textOf(s)) }

func TestConformance(t *testing.T) {
	s := named.Start(t, "example.org", "sub.example.org")
	publishtest.Conformance(t, "example.org", rfc2136.Open("Example.org", s.Addr, keyOf(s)))
}

func one(name string) []publish.Change {
	return []publish.Change{{After: &publish.Set{Name: name, Type: "A", TTL: time.Minute, Values: []string{"10.0.0.1"}}}}
}

func TestRefusals(t *testing.T) {
	s := named.Start(t, "example.org")
	good := keyOf(s)
	wrong := key("hmac-sha256:" + s.KeyName + ":aGFsbG8gaGFsbG8gaGFsbG8=")
	for name, row := range map[string]struct {
		zone *rfc2136.Zone
		want string // of a change
		list string // of a listing
	}{
		"a wrong secret":       {rfc2136.Open("example.org", s.Addr, wrong), "does not know the key", "does not know the key"},
		"an unknown key":       {rfc2136.Open("example.org", s.Addr, key("hmac-sha256:other:aGFsbG8gaGFsbG8gaGFsbG8=")), "does not know the key", "does not know the key"},
		"a near zone, below":   {rfc2136.Open("sub.example.org", s.Addr, good), "it has no zone of exactly this name", "it has no zone of exactly this name"}, // TRAPS 17
		"a near zone, above":   {rfc2136.Open("org", s.Addr, good), "it has no zone of exactly this name", "it has no zone of exactly this name"},
		"nobody listens there": {rfc2136.Open("example.org", "127.0.0.1:1", good), "reaching name server 127.0.0.1:1", "reaching name server 127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := row.zone.Apply(t.Context(), one("a.example.org")); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("changing: %v, want %q", err, row.want)
			}
			if sets, err := row.zone.List(t.Context(), "example.org"); err == nil || !strings.Contains(err.Error(), row.list) {
				t.Errorf("listing: %v, %v, want %q", sets, err, row.list)
			}
		})
	}
	if left := s.Records(t, "example.org"); len(left) > 0 {
		t.Errorf("refused, and still changed: %v", left)
	}
}

// A server that takes the connection and never answers holds nobody up for ever.
func TestSilentServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	z := rfc2136.Open("example.org", ln.Addr().String(), key("hmac-sha256:k:aGFsbG8="))
	for what, request := range map[string]func(context.Context) error{
		"listing":  func(ctx context.Context) error { _, err := z.List(ctx, "example.org"); return err },
		"changing": func(ctx context.Context) error { return z.Apply(ctx, one("a.example.org")) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		err := request(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), ": no answer within 3") || time.Since(began) > 5*time.Second {
			t.Errorf("%s, after %s: %v", what, time.Since(began), err)
		}
	}
}

// TestRotatedKey: a key's file is read again, so that a new key is taken over
// by whoever has run since before.
func TestRotatedKey(t *testing.T) {
	s := named.Start(t, "example.org")
	file := filepath.Join(t.TempDir(), "key")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	z := rfc2136.Open("example.org", s.Addr, func() (rfc2136.Key, error) { return rfc2136.ReadKey(file, "") })
	put("hmac-sha256:" + s.KeyName + ":aGFsbG8gaGFsbG8gaGFsbG8=")
	if _, err := z.List(t.Context(), "example.org"); err == nil {
		t.Error("a key that the server does not know lists")
	}
	put("half a ke")
	if err := z.Apply(t.Context(), one("a.example.org")); err == nil || !strings.Contains(err.Error(), "reading the TSIG key") {
		t.Errorf("while it is written: %v", err)
	}
	put(textOf(s))
	if err := z.Apply(t.Context(), one("a.example.org")); err != nil {
		t.Errorf("changing with the new key: %v", err)
	}
	if sets, err := z.List(t.Context(), "a.example.org"); err != nil || len(sets) != 1 {
		t.Errorf("listing with the new key: %v, %v", sets, err)
	}
}

func TestReadKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "c2VjcmV0Ly9zZWNyZXQ="
	named.Start(t) // installs BIND, where it is missing
	keygen, err := exec.LookPath("tsig-keygen")
	if err != nil {
		keygen = "/usr/sbin/tsig-keygen"
	}
	generated, err := exec.Command(keygen, "-a", "hmac-sha512", "quorate").Output()
	if err != nil {
		t.Fatalf("running BIND's tsig-keygen: %v", err)
	}
	for name, row := range map[string]struct{ file, variable, want string }{
		"the variable":          {"", "hmac-sha256:Quorate:" + secret, "quorate."},
		"as tsig-keygen writes": {write("generated", string(generated)), "", "quorate."},
		"with a comment":        {write("comment", "# of ns1\n// keep\nkey quorate. { algorithm HMAC-SHA256; secret "+secret+"; };\n"), "", "quorate."},
		"in one line":           {write("line", "hmac-sha256:quorate:"+secret+"\n"), "", "quorate."},
		"the file counts":       {write("both", "hmac-sha256:a:"+secret), "hmac-sha256:b:" + secret, "a."},
		"nothing":               {"", "", "no TSIG key"},
		"no file":               {filepath.Join(dir, "none"), "", "key-file: no such file"},
		"the key as the file":   {"hmac-sha256:k:" + secret, "", "key-file: no such file"},
		"two keys":              {write("two", strings.Repeat(string(generated), 2)), "", "want one statement"},
		"rubbish":               {"", "c2VjcmV0", "want algorithm:name:secret"},
		"no base64":             {"", "hmac-sha256:k:!c2VjcmV0", "the secret is not base64"},
		"md5":                   {"", "hmac-md5:k:" + secret, `algorithm "hmac-md5": want hmac-sha256`},
		"no secret":             {write("nosecret", `key "k" { algorithm hmac-sha256; };`), "", "want algorithm:name:secret"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := rfc2136.ReadKey(row.file, row.variable)
			said := fmt.Sprintf("%v %+v %#v", err, k, k)
			if !strings.Contains(said, row.want) || strings.Contains(said, "c2Vjcm") {
				t.Errorf("%s, want %q and no secret", said, row.want)
			}
		})
	}
}

// TestFast: a record is visible at the server within 2 s of the change (issue 4).
func TestFast(t *testing.T) {
	s := named.Start(t, "example.org")
	z := rfc2136.Open("example.org", s.Addr, keyOf(s))
	began := time.Now()
	if err := z.Apply(t.Context(), one("a.example.org")); err != nil {
		t.Fatal(err)
	}
	if got := s.Records(t, "example.org"); len(got) != 1 || time.Since(began) > 2*time.Second {
		t.Errorf("after %s: %v", time.Since(began), got)
	}
	if err := z.Apply(t.Context(), one("a.example.org")); !errors.Is(err, publish.ErrChanged) {
		t.Errorf("twice: %v", err)
	}
}
