package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// storeFlags name the rig's store to commands that ask no agent.
func (r *rig) storeFlags(keys []string) []string {
	return append([]string{"--store", r.store, "--cluster", "test"}, keys...)
}

// flip changes one bit of a stored object.
func (r *rig) flip(key string) {
	r.t.Helper()
	data, err := os.ReadFile(r.object(key))
	must(r.t, err)
	data[len(data)/2] ^= 1
	must(r.t, os.WriteFile(r.object(key), data, 0o600))
}

// TestStoreCommands: list, verify and prune need the store and the keys alone.
func TestStoreCommands(t *testing.T) {
	t.Parallel()
	keys := keyFlags(t)
	r := newRig(t, append(keys, "--size", "1", "--backup-keep", "9")...)
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(40*time.Second, "a")
	var taken []cluster.Backup
	for i := range 3 {
		r.put(r.client("a"), fmt.Sprint(i), "x")
		taken = append(taken, r.backup(a))
	}
	a.term()
	with := func(command ...string) []string {
		return append(append([]string{"backup"}, command...), r.storeFlags(keys)...)
	}

	if all := parsed[[]cluster.Backup](t, r.does(with("list", "-o", "json")...)); len(all) != 3 || all[0].Key != taken[2].Key {
		t.Errorf("list: %+v", all)
	}
	if out := r.does(with("verify")...); !strings.HasPrefix(out, "good  "+taken[2].Key) || !strings.Contains(out, "encrypted and signed") {
		t.Errorf("verify:\n%s", out)
	}
	if out, errOut, code := r.quorate("backup", "verify", "--store", r.store, "--cluster", "test"); code != 1 || !strings.Contains(errOut, "backup-identity-file") {
		t.Errorf("verify without keys: exit code %d\n%s%s", code, out, errOut)
	}
	r.flip(taken[2].Object)
	out, errOut, code := r.quorate(with("verify", "--all")...)
	if code != 1 || !strings.Contains(out, "BAD   "+taken[2].Key) || strings.Count(out, "good  backups/") != 2 || strings.Contains(out+errOut, "SECRET") {
		t.Errorf("verify of a flipped bit: exit code %d\n%s%s", code, out, errOut)
	}
	// The newest does not count, so the one before it is what must stay.
	few := []string{"--keep-last=1", "--keep-hourly=0", "--keep-daily=0", "--keep-weekly=0"}
	out, errOut, code = r.quorate(with(append([]string{"prune", "--allow-unsigned", "--dry-run"}, few...)...)...)
	if code != 0 || !strings.HasPrefix(out, taken[0].Key) || strings.Contains(out, taken[1].Key) || strings.Contains(out, taken[2].Key) || !strings.Contains(errOut, taken[2].Key) {
		t.Errorf("prune --dry-run: exit code %d\n%s%s", code, out, errOut)
	}
	if _, errOut, code := r.quorate(with(append([]string{"prune", "--allow-unsigned"}, few...)...)...); code != 2 || !strings.Contains(errOut, "not confirmed") {
		t.Errorf("prune unasked: exit code %d, %s", code, errOut)
	}
	r.does(with(append([]string{"prune", "--allow-unsigned", "--yes"}, few...)...)...)
	for i, b := range taken {
		for _, key := range []string{b.Key, b.Object} {
			if _, err := os.Stat(r.object(key)); (err == nil) != (i > 0) {
				t.Errorf("after prune, %s: %v", key, err)
			}
		}
	}
	r.flip(taken[1].Object)
	if _, errOut, code := r.quorate(with(append([]string{"prune", "--yes"}, few...)...)...); code != 1 || !strings.Contains(errOut, "no backup is good: nothing is let go") {
		t.Errorf("prune when none is good: exit code %d, %s", code, errOut)
	}
}

// TestImportCommand: a file of etcd-aws into a running cluster, twice.
func TestImportCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(40*time.Second, "a")
	path := filepath.Join(t.TempDir(), "etcd-backup.gz")
	file, err := os.Create(path)
	must(t, err)
	w := gzip.NewWriter(file)
	_, err = fmt.Fprintf(w, "{\"key\":\"\",\"dir\":true}\n{\"key\":\"/d\",\"dir\":true}\n{\"key\":\"/d/a\",\"value\":\"one\"}\n{\"key\":\"/t\",\"value\":\"two\",\"expiration\":%q,\"ttl\":9}\n",
		time.Now().Add(time.Hour).Format(time.RFC3339))
	must(t, err)
	must(t, w.Close())
	must(t, file.Close())
	endpoint := "--endpoints=" + a.addr + ":2379"
	for _, want := range []string{"2 keys created, 1 of them with a lease\n0 there already", "0 keys created, 0 of them with a lease\n2 there already"} {
		if out := r.does("backup", "import", path, endpoint); !strings.HasPrefix(out, want) || !strings.Contains(out, "0 expired, 1 directories") {
			t.Errorf("import says\n%s, want\n%s", out, want)
		}
	}
	r.wantValue(r.client("a"), "/d/a", "one")

	whole, err := os.ReadFile(path)
	must(t, err)
	cut := filepath.Join(t.TempDir(), "cut.gz")
	must(t, os.WriteFile(cut, whole[:len(whole)-9], 0o600))
	for name, args := range map[string][]string{
		"file: reading " + cut:                   {cut, endpoint},
		"file: open /no/such":                    {"/no/such", endpoint},
		"user, password-file: want":              {path, endpoint, "--user=root"},
		"endpoints: ftp://x":                     {path, "--endpoints=ftp://x"},
		io.ErrUnexpectedEOF.Error():              {cut, endpoint, "--dry-run"},
		"endpoints: 127.0.0.1:1 does not answer": {path, "--endpoints=127.0.0.1:1"},
	} {
		if _, errOut, code := r.quorate(append([]string{"backup", "import"}, args...)...); code == 0 || !strings.Contains(errOut, name) {
			t.Errorf("import %v: exit code %d, %s", args, code, errOut)
		}
	}
}
