package main

import (
	"strings"
	"testing"

	etcdversion "go.etcd.io/etcd/api/v3/version"

	"github.com/quorate/quorate/internal/replay"
)

// TestDryRunSays: what it has not read it does not call good, and where the log's
// bytes are bad it says how far they are not.
func TestDryRunSays(t *testing.T) {
	t.Parallel()
	s := lay(t, etcdversion.Version, true)
	for flags, want := range map[string]string{
		"--dry-run":          "every byte of the log; of the snapshot that it is there, and its size; its bytes were not read: --verify reads them",
		"--dry-run --verify": "every byte of the log; every byte of the snapshot",
	} {
		if out, errOut, code := s.restore(strings.Fields(flags)...); code != 0 || !strings.Contains(out, "checked   "+want+"\n") {
			t.Errorf("%s: exit code %d, want %q:\n%s%s", flags, code, want, out, errOut)
		}
	}
	s.flip(s.segment(6), -9)
	out, errOut, code := s.restore("--dry-run", "-o", "json")
	p := parsed[restorePlan](t, out)
	if code != 1 || !strings.Contains(errOut, "say --at index=55") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	if p.Last.Number != 5 || p.Last.Index != 55 || p.Last.SHA256 == "" || p.Segments != 2 || p.Bytes == 0 || p.Broken == "" || !p.Read.Log || p.Read.Snapshot {
		t.Errorf("it says %+v", p)
	}
	if _, errOut, code := s.restore("--to", t.TempDir(), "--verify"); code != 2 || !strings.Contains(errOut, "verify: want --dry-run with it") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
}

// TestBytesRead: a log that is too long to be read unasked is told as not read.
func TestBytesRead(t *testing.T) {
	long, none := replay.Plan{Segments: 9, Bytes: 3 << 30}, replay.Plan{}
	for _, tt := range []struct {
		read bytesRead
		of   replay.Plan
		want string
	}{
		{bytesRead{}, long, "of the log's 3.0 GiB a few segments alone; of the snapshot that it is there"},
		{bytesRead{Snapshot: true, Log: true}, long, "every byte of the log; every byte of the snapshot"},
		{bytesRead{Log: true}, none, "of the snapshot that it is there"},
		{bytesRead{Snapshot: true, Log: true}, none, "every byte of the snapshot"},
	} {
		if got := tt.read.of(tt.of); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.read, got, tt.want)
		}
	}
}
