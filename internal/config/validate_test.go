package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	plain := file(t, "x")
	for arg, want := range map[string]string{
		"--name=":                      "name: ",
		"--name=d":                     `name: "d" is not in peers: a, b, c`,
		"--host=127.0.0.12":            "host: 127.0.0.12, but peers say 127.0.0.11",
		"--host=1.2.3.4:2379":          "host: ",
		"--listen-host=localhost":      "listen-host: ",
		"--data-dir=":                  "data-dir: ",
		"--data-dir=" + plain + "/dir": "data-dir: ",
		"--etcd-data-dir=" + plain:     "etcd-data-dir: ",
		"--etcd=/no/such":              "etcd: ",
		"--etcd=" + plain:              "etcd: ",
		"--etcd=https://example.org/e": "etcd: https://example.org/e: want #sha256= and 64 hexadecimal digits at the end",
		"--etcd=":                      "etcd: empty: want built-in, a path, a directory of versions or a URL",
		"--client-port=0":              "client-port: 0: want",
		"--client-port=99999":          "client-port: 99999: want 1 to 65535",
		"--peer-port=65536":            "peer-port: 65536: want",
		"--agent-port=2380":            "agent-port: 2380 is peer-port too",
		"--health-port=2378":           "health-port: 2378 is agent-port too",
		"--health-port=-1":             "health-port: -1: want 1 to 65535",
		"--cluster=":                   "cluster: ",
		"--cluster=..":                 "cluster: ",
		"--cluster=a/b":                "cluster: ",
		"--peers=":                     "peers: not given",
		"--peers=a=127.0.0.11,a=::1":   "peers: name a: given twice",
		"--peers=gce://x":              "peers: not supported",
		"--store=ftp://x":              "store: ",
		"--size=-1":                    "size: -1",
		"--join=maybe":                 `join: "maybe"`,
		"--founding-wait=-1s":          "founding-wait: ",
		"--dead-after=0":               "dead-after: ",
		"--hash-check-interval=-1s":    "hash-check-interval: ",
		"--compaction-keep=-1s":        "compaction-keep: ",
		"--defragment-below=1":         "defragment-below: ",
		"--defragment-below=NaN":       "defragment-below: ",
		"--compaction-keep=999ms":      "compaction-keep: 999ms: want 1s or more, or 0 for never",
		"--hash-check-interval=1ns":    "hash-check-interval: 1ns: want 1s or more, or 0 for never",
		"--backup-interval=1ms":        "backup-interval: 1ms: want 1s or more, or 0 for never",
		"--backup-verify-interval=1ms": "backup-verify-interval: 1ms: want 1s or more, or 0 for never",
		"--learner-patience=0":         "learner-patience: ",
		"--backup-interval=-1s":        "backup-interval: ",
		"--backup-keep=0":              "backup-keep: ",
		"--backup-keep-hourly=-1":      "backup-keep-hourly: ",
		"--backup-keep-daily=-1":       "backup-keep-daily: ",
		"--backup-verify-interval=-1s": "backup-verify-interval: ",
		"--backup-keep-weekly=-1":      "backup-keep-weekly: ",
		"--backup-keep-monthly=-1":     "backup-keep-monthly: ",
		"--backup-recipient=age1x":     `backup-recipient: "age1x": want an age recipient`,
		"--backup-identity-file=/no":   "backup-identity-file: stat /no",
		"--backup-sign-key-file=/no":   "backup-sign-key-file: stat /no",
		"--backup-verify-key-file=/no": "backup-sign-key-file: not given",
		"--backup-kms=base64key://x":   `backup-kms: scheme "base64key"`,
		"--backup-kms=awskms:///k":     "backup-identity-file: not given",
		"--backup-copy=ftp://x":        "backup-copy: ",
		"--backup-copy=file:///x":      "store: not given, and backup-copy is",
		"--etcd-user=root":             "etcd-password-file: ",
		"--etcd-password-file=/no":     "etcd-user: ",
		"--etcd-flags=--log-level":     "etcd-flags: --log-level: want a value",
		"--etcd-flags=--name=x":        "etcd-flags: ",
		"--cert-file=/no":              "key-file: ",
		"--trusted-ca-file=/no":        "cert-file: not given",
		"--peer-key-file=/no":          "peer-cert-file: ",
		"--peer-client-cert-auth":      "peer-client-cert-auth: ",
		"--log-level=loud":             "log-level: ",
		"--log-format=xml":             "log-format: ",
	} {
		problems := lines(must(t, good(t, arg)...).Validate())
		if !strings.Contains("\n"+problems, "\n"+want) {
			t.Errorf("%s: got %q, want %q", arg, problems, want)
		}
		if strings.Contains(problems, "_port") {
			t.Errorf("%s: a port is said to be each peer's fault too: %s", arg, problems)
		}
	}
}

func TestEveryProblemComesAtOnceAndBeginsWithItsKey(t *testing.T) {
	c := must(t, "run", "--config="+file(t, "nope: 1\n"), "--name=!", "--peers=a,b=,c=1.2.3.4:5", "--store=x",
		"--size=-1", "--data-dir=", "--client-port=0", "--log-level=x", "--cert-file=/no", "--", "stray", "--name=x")
	problems := c.Validate()
	if len(problems) < 14 {
		t.Errorf("only %d:\n%s", len(problems), lines(problems))
	}
	known, err := keys(&c)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		key, _, ok := strings.Cut(problem.Error(), ": ")
		if !ok || (known[key] == nil && key != "nope") || strings.Contains(problem.Error(), "\n") {
			t.Errorf("no key first: %q", problem)
		}
	}
}

func TestValidateWritesNothing(t *testing.T) {
	dir := t.TempDir()
	c := must(t, good(t, "--data-dir="+filepath.Join(dir, "a/b"), "--etcd-data-dir="+filepath.Join(dir, "c/d"))...)
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestCreatableAsksTheNearestThatExists(t *testing.T) {
	dir := t.TempDir()
	var asked string
	err := creatableBy(filepath.Join(dir, "a/b/c"), func(at string) error { asked = at; return errors.New("read-only") })
	if asked != dir || err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("asked %q, got %v", asked, err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"relative", filepath.Join(dir, "link/x")} {
		if creatable(bad) == nil {
			t.Errorf("%s passes", bad)
		}
	}
}

func TestWarnings(t *testing.T) {
	list := file(t, "- {name: a, host: 127.0.0.11}\n")
	for _, c := range []struct{ args, want string }{
		{"--size=4", "size: 4 is even"},
		{"--size=9", "size: each write waits"},
		{"--size=5", "size: 5, and only 3 nodes"},
		{"--size=3", "store: none"},
		{"--peers=file:///no/such --host=::1", "peers: unknown for now"},
		{"--peers=file://LIST --size=0", "size: 0, and peers"},
		{"--peers=file://LIST --name=b --host=::1", `name: "b" is not in peers yet`},
		{"--peers=file://LIST --host=127.0.0.12", "host: 127.0.0.12, but"},
		{"--peers=file://LIST --client-port=4001", ""},
	} {
		conf := must(t, good(t, strings.Fields(strings.ReplaceAll(c.args, "LIST", list))...)...)
		if problems := conf.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", c.args, problems)
		}
		if got := strings.Join(conf.Warnings(), "\n"); !strings.Contains("\n"+got, "\n"+c.want) {
			t.Errorf("%s: got %q, want %q", c.args, got, c.want)
		}
	}
	if w := must(t, good(t, "--store=file:///tmp/x")...).Warnings(); len(w) > 0 {
		t.Errorf("a usual cluster: %q", w)
	}
	if w := must(t, good(t)...).WithoutAgent(); len(w) > 0 {
		t.Errorf("a usual cluster without agents has no store: %q", w)
	}
}

func TestHostAndZoneComeFromThePeersFile(t *testing.T) {
	list := file(t, "- {name: a, host: '::0001', zone: z1}\n")
	c := must(t, good(t, "--peers=file://"+list)...)
	if c.Host != "::1" || c.Zone != "z1" || c.ListenHost != "::1" {
		t.Errorf("%q %q %q", c.Host, c.Zone, c.ListenHost)
	}
	if got := lines(must(t, good(t, "--peers=file:///no/such")...).Validate()); got != `host: not given, and peers tell none for "a"` {
		t.Error(got)
	}
}

func TestTarget(t *testing.T) {
	list := file(t, "- {name: a, host: '::1', agent_port: 7}\n- {name: b, host: h, state: terminated}\n- {name: c, host: i}\n")
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{}, "http://127.0.0.1:2378"},
		{Target{Agent: "h:9"}, "http://h:9"},
		{Target{Agent: "h"}, "http://h:2378"},
		{Target{Agent: "::1"}, "http://[::1]:2378"},
		{Target{Agent: "[::1]:9", TrustedCAFile: "ca"}, "https://[::1]:9"},
		{Target{Agent: "https://h:9/"}, "https://h:9"},
		{Target{Agent: "h", Peers: "a=x"}, "http://h:2378"},
		{Target{Peers: "a=x,b=::1"}, "http://x:2378 http://[::1]:2378"},
		{Target{Peers: "file://" + list}, "http://[::1]:7 http://i:2378"},
		{Target{Agent: "h:x"}, ""},
		{Target{Agent: "a b"}, ""},
		{Target{Agent: "http://u:p@h"}, ""},
		{Target{Agent: "u:hunter2@h"}, ""},
		{Target{Agent: "http://u:hunter2@h"}, ""},
		{Target{Agent: "http://u:hunter2/zz@h"}, ""},
		{Target{Agent: "@hunter2"}, ""},
		{Target{Peers: "a=u:hunter2@h"}, ""},
		{Target{Peers: "file:///no/such"}, ""},
		{Target{Peers: "?"}, ""},
	} {
		c.target.AgentPort = 2378
		got, err := c.target.Agents(t.Context())
		if strings.Join(got, " ") != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: got %q, %v; want %q", c.target, got, err, c.want)
		}
		if told := errors.Join(append(c.target.Validate(), err)...); told != nil && strings.Contains(told.Error(), "hunter2") {
			t.Errorf("%+v: a password is told: %v", c.target, told)
		}
	}
	bad := Target{Agent: "h:0", CertFile: "/no"}
	if got := len(bad.Validate()); got < 4 {
		t.Errorf("%d problems: %v", got, bad.Validate())
	}
	if got := (Target{AgentPort: 1, Timeout: 1}).Validate(); len(got) > 0 {
		t.Error(got)
	}
}
