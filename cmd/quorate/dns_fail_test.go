package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDNSDown: a name server that cannot be reached keeps nobody from forming
// a cluster, and no member in it for ever.
func TestDNSDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--dns", "rfc2136://example.org?server=127.0.0.1:1&ttl=1")
	r.env = []string{"QUORATE_DNS_TSIG=hmac-sha256:k:aGFsbG8="}
	a, b, c := r.trio()
	for _, h := range []*host{a, b, c} {
		h.start()
	}
	r.voters(60*time.Second, "a", "b", "c")
	if _, errOut, code := r.quorate("leave", "--yes", "--agent", strings.TrimPrefix(c.url(2378), "http://")); code != 0 {
		t.Fatal(errOut)
	}
	said := false
	waited := r.eventually(60*time.Second, "c is removed all the same", func() error {
		for _, h := range []*host{a, b} {
			if got, err := h.report(); err == nil && strings.Contains(got.Reason, "its DNS records have been withdrawn") {
				said = true
			}
		}
		if got := r.inEtcd("a", "b"); !slices.Equal(got, []string{"a", "b"}) {
			return errors.New(strings.Join(got, " "))
		}
		return nil
	})
	if !said || waited < 30*time.Second {
		t.Errorf("removed after %s; it said why it waits: %v", waited, said)
	}
	logs := ""
	for _, h := range []*host{a, b, c} {
		raw, err := os.ReadFile(filepath.Join(r.dir, h.name+".log"))
		must(t, err)
		logs += string(raw)
	}
	if n := strings.Count(logs, "DNS records cannot be published"); n < 1 || n > 6 {
		t.Errorf("the trouble is logged %d times", n)
	}
}

// TestDNSInput: bad input is one clear line each, exit code 2, and no secret.
func TestDNSInput(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		want []string
	}{
		"no zone":          {[]string{"dns", "plan"}, []string{"dns: not given"}},
		"another provider": {[]string{"dns", "sync", "--dns", "powerdns://example.org"}, []string{"dns: unknown provider: want one of cloudflare, googleclouddns, rfc2136, route53"}},
		"all at once":      {[]string{"dns", "wait", "--dns", "route53://example.org?ttl=0&style=x"}, []string{`dns: route53: style "x"`, `dns: route53: ttl "0"`}},
		"a secret": {[]string{"dns", "plan", "--dns", "rfc2136://example.org?server=ns&key=hunter2"},
			[]string{"credentials do not belong in the URL: give the TSIG key by key-file=/path"}},
		"no key":                {[]string{"dns", "sync", "--delete", "--dns", "rfc2136://example.org?server=ns"}, []string{"dns: no TSIG key: give key-file=/path"}},
		"no token":              {[]string{"dns", "sync", "--delete", "--dns", "cloudflare://example.org"}, []string{"dns: no API token: give token-file=/path"}},
		"the key as the file":   {[]string{"dns", "sync", "--delete", "--dns", "rfc2136://example.org?server=127.0.0.1:1&key-file=hmac-sha256:k:hunter2"}, []string{"dns: key-file: no such file"}},
		"the token as the file": {[]string{"dns", "sync", "--delete", "--dns", "cloudflare://example.org?token-file=hunter2"}, []string{"dns: token-file: no such file"}},
		"a cluster of no name":  {[]string{"dns", "sync", "--delete", "--dns", "rfc2136://example.org?server=127.0.0.1:1", "--cluster", "n;n"}, []string{`cluster: "n;n": want 1 to 63 letters`}},
		"no time, no server": {[]string{"dns", "wait", "--dns", "rfc2136://example.org?server=ns", "--within", "-1s", "--servers", "127.0.0.1:99999", "--resolver", ":::5"},
			[]string{"within: -1s: want a positive time", `servers: "127.0.0.1:99999": want host or host:port`, `resolver: ":::5": want host or host:port`}},
		"a server of no port": {[]string{"dns", "wait", "--dns", "rfc2136://example.org?server="}, []string{`dns: rfc2136: server "": want host or host:port`}},
		"the agent's":         {[]string{"run", "--dns", "route53://user:hunter2@example.org", "--peers", "a=127.0.0.1", "--name", "a", "--data-dir", t.TempDir()}, []string{"dns: route53: credentials do not belong in the URL"}},
		"adopt for none":      {[]string{"run", "--dns-adopt", "--peers", "a=127.0.0.1", "--name", "a", "--data-dir", t.TempDir()}, []string{"dns-adopt: given, and dns is not"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CLOUDFLARE_API_TOKEN", "")
			_, errOut, code := (&rig{t: t}).quorate(row.args...)
			for _, want := range row.want {
				if code != 2 || !strings.Contains(errOut, want) {
					t.Errorf("%d %s, want %q", code, errOut, want)
				}
			}
			if strings.Contains(errOut, "hunter2") {
				t.Errorf("tells the secret: %s", errOut)
			}
		})
	}
}
