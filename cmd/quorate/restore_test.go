package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// TestRestoreCommand: a data directory out of the store alone, which etcd starts
// on; bad input is said at once and leaves nothing.
func TestRestoreCommand(t *testing.T) {
	t.Parallel()
	keys := keyFlags(t)
	r := newRig(t, append(keys, "--size", "1")...)
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(40*time.Second, "a")
	r.put(r.client("a"), "key", "value")
	taken := r.backup(a)
	a.term()
	restore := func(more ...string) []string {
		return append(append([]string{"restore"}, more...), r.storeFlags(keys)...)
	}
	dir := filepath.Join(t.TempDir(), "made")
	r.restorePlan(restore("--dry-run"), taken)

	peer, client := "http://"+a.addr+":2380", "http://"+a.addr+":2379"
	out := r.does(restore("--to", dir, "--name", "m", "--initial-cluster", "m="+peer+",n=http://127.0.0.1:1")...)
	if !strings.Contains(out, taken.Key) || !strings.Contains(out, "data directory: "+dir) {
		t.Errorf("restore says\n%s", out)
	}
	wantNames(t, dir, "member")
	alone := filepath.Join(t.TempDir(), "alone")
	r.does(restore("--to", alone, "--initial-cluster", "m="+peer)...)
	cmd := exec.Command(program, "etcd", "--name", "m", "--data-dir", alone, "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c := r.client("a")
	r.wantValue(c, "key", "value")
	if got, err := c.Get(t.Context(), "key"); err != nil || got.Header.Revision < taken.Revision+1_000_000_000 {
		t.Errorf("revision: %v, %v", got, err)
	}

	many := filepath.Join(t.TempDir(), "many")
	r.does(restore("--to", many, "--initial-cluster", "m="+peer+",n=http://127.0.0.1:1", "--bump", "0")...)
	wantNames(t, many, "m", "n")
	r.badRestores(restore, dir, taken)
}

func (r *rig) restorePlan(args []string, taken cluster.Backup) {
	r.t.Helper()
	out := r.does(args...)
	for _, want := range []string{"the end", taken.Key, fmt.Sprintf("revision %d", taken.Revision), "takes", "loses", "ago"} {
		if !strings.Contains(out, want) {
			r.t.Errorf("--dry-run does not say %q:\n%s", want, out)
		}
	}
	if p := parsed[restorePlan](r.t, r.does(append(args, "-o", "json")...)); p.Base.Key != taken.Key || p.Loss <= 0 {
		r.t.Errorf("--dry-run: %+v", p)
	}
}

func (r *rig) badRestores(restore func(...string) []string, full string, taken cluster.Backup) {
	t, fresh := r.t, filepath.Join(r.t.TempDir(), "x")
	others := t.TempDir()
	must(t, seal.Generate(others))
	for want, args := range map[string][]string{
		"to: " + full + " is not empty":         restore("--to", full),
		"to: not given":                         restore(),
		"at: \"soon\": want a revision":         restore("--to", fresh, "--at", "soon"),
		"at: no snapshot of cluster":            restore("--to", fresh, "--at", "1"),
		"at: no log goes on from":               restore("--to", fresh, "--at", fmt.Sprint(taken.Revision+100)),
		"name: \"z\" is not in initial-cluster": restore("--to", fresh, "--name", "z"),
		"initial-cluster: ":                     restore("--to", fresh, "--initial-cluster", "a"),
		"cannot be a directory's name":          restore("--to", fresh, "--initial-cluster", "../a=http://127.0.0.1:1"),
		"bump: ":                                restore("--to", fresh, "--bump", "99999999999999999"),
		"store: not given: want the --store":    {"restore", "--to", fresh},
		"not trusted":                           {"restore", "--to", fresh, "--store", r.store, "--cluster", "test", "--backup-verify-key-file", filepath.Join(others, "verify.pem")},
	} {
		if out, errOut, code := r.quorate(args...); code == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit code %d, want %q:\n%s%s", args, code, want, out, errOut)
		}
		if _, err := os.Stat(fresh); err == nil {
			t.Errorf("%v left %s", args, fresh)
		}
	}
	_, errOut, code := r.quorate("restore", "--at", "soon", "--name", "z")
	if code != 2 || strings.Count(errOut, "\n") < 4 {
		t.Errorf("not all problems at once: exit code %d\n%s", code, errOut)
	}
}

func wantNames(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}
