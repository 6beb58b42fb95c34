package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parsed is a Config of a command line.
func parsed(t *testing.T, args ...string) Config {
	t.Helper()
	var c Config
	app, err := kong.New(&c, kong.NoDefaultHelp(), Lenient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestYAML: a file made of a Config says the same, and nothing that nobody gave.
func TestYAML(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing": nil,
		"of each kind": {"--name=a", "--host=10.0.0.1", "--peers=a=10.0.0.1,b=[2001:db8::1]", "--store=s3://b?prefix=x&region=y", "--size=5", "--join=prune",
			"--founding-wait=1m30s", "--no-auto-recover", "--client-cert-auth", "--agent-port=4000", "--backup-keep-daily=0", "--", "--quota-backend-bytes=8589934592", "--x=a b"},
		"awkward text": {"--name=010", "--zone=true", "--cluster=1.5", "--size=auto", "--dns=rfc2136://example.org?server=ns1&key-file={files}/k", "--log-level=debug"},
		"no limit":     {"--size=0", "--backup-interval=0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := parsed(t, args...)
			text, err := c.YAML()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			again := parsed(t, "--config="+file)
			if len(again.unread) > 0 {
				t.Fatalf("%v in\n%s", again.unread, text)
			}
			want, err := c.Given()
			if err != nil {
				t.Fatal(err)
			}
			got, err := again.Given()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v (%v), by\n%s", got, want, err, text)
			}
			if name == "nothing" && len(want) != 0 {
				t.Errorf("the defaults are told: %v", want)
			}
			if name == "of each kind" && len(want) != 12 {
				t.Errorf("%d settings are told: %v", len(want), want)
			}
		})
	}
}

// TestValidateElsewhere: what is wrong anywhere is told; what this machine
// lacks is not.
func TestValidateElsewhere(t *testing.T) {
	c := parsed(t, "--name=a", "--host=10.0.0.1", "--peers=file:///nowhere/peers.yaml", "--data-dir=/proc/none", "--etcd=/nowhere/etcd",
		"--cert-file=/nowhere/x", "--key-file=/nowhere/y", "--agent-port=99999", "--join=never", "--store=s3://")
	var keys []string
	for _, err := range c.ValidateElsewhere() {
		key, _, _ := strings.Cut(err.Error(), ":")
		keys = append(keys, key)
	}
	if got := strings.Join(keys, " "); got != "agent-port store join" {
		t.Errorf("problems with %s: %v", got, c.ValidateElsewhere())
	}
}
