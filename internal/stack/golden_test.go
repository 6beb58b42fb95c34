package stack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file   string
		params Params
		region string
	}{
		{"plain.yaml", plain(), ""},
		{"one.yaml", with("one", "x86", "ami", "no backups"), ""},
		{"container.yaml", with("image", "given VPC", "clients", "bucket"), ""},
		{"full.yaml", with("seven", "x86", "ssh", "clients", "binary in S3", "etcd in S3", "etcd flags", "TLS", "sealed", "KMS", "DNS", "email"), ""},
		{"pair-first.yaml", with("pair", "clients", "email"), "eu-central-1"},
		{"pair-second.yaml", with("pair", "clients", "email"), "eu-west-1"},
	} {
		made, err := c.params.Template(c.region)
		if err != nil {
			t.Fatal(err)
		}
		text, err := made.YAML()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, c.file, text)
	}
	policy, err := json.MarshalIndent(Policy(full(), Features()...), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "policy.json", append(policy, '\n'))
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			t.Errorf("%s:%d: got %q, want %q (go test ./internal/stack -update accepts it)", file, i+1, g[i], w[i])
			return
		}
	}
	t.Errorf("%s has %d lines, want %d", file, len(g), len(w))
}

// full is a scope with every value given.
func full() Scope {
	return Scope{Partition: "aws", Regions: []string{"eu-central-1", "eu-west-1"}, Account: "123456789012", Stack: "etcd", Group: "etcd-Group-*", Bucket: "backups", Prefix: "etcd",
		Queues: []string{"arn:aws:sqs:eu-central-1:123456789012:hints"}, Zone: "Z0123456789ABCDEFGHIJ", TLSPath: "/etcd/prod", KeysPath: "/etcd/prod/backup", Downloads: []string{"artifacts/quorate"}, Keys: []string{someKey}}
}

// The same parameters give the same bytes, in whatever order maps come.
func TestStable(t *testing.T) {
	first := ""
	for range 20 {
		made, err := with("pair", "clients", "DNS", "KMS").Template("eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		text, err := made.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Fatal("two templates of the same parameters differ")
		}
	}
}

// Default says what the tags say.
func TestDefaults(t *testing.T) {
	var parsed Params
	k, err := kong.New(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse(nil); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(parsed)
	want, _ := json.Marshal(Default())
	if string(got) != string(want) {
		t.Errorf("from the tags: %s\nDefault():     %s", got, want)
	}
}
