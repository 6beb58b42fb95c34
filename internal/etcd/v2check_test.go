package etcd

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// v2 writes a key of the v2 store.
func (m *member) v2(method, key string) {
	m.t.Helper()
	body := strings.NewReader(url.Values{"value": {"x"}}.Encode())
	req, err := http.NewRequestWithContext(limit(m.t), method, m.clientURL()+"/v2/keys/"+key, body)
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		m.t.Fatalf("%s %s: %s", method, key, resp.Status)
	}
}

// startAs launches the member as another version.
func (m *member) startAs(version string, s Start) {
	m.t.Helper()
	bin := Binary{Path: etcdbin.Etcd(m.t, version)}
	v, err := bin.Check(limit(m.t), m.cfg.Extra)
	if err != nil {
		m.t.Fatal(err)
	}
	args := Args(v, m.cfg, s)
	proc, err := Launch(m.dir, bin, args, Env(nil, args))
	if err != nil {
		m.t.Fatal(err)
	}
	m.own(proc)
	m.waitHealthy()
}

// TestV2ContentAsEtcdutlFindsIt: beside a running etcd, and after its end,
// what quorate says is what etcd's own tool says.
func TestV2ContentAsEtcdutlFindsIt(t *testing.T) {
	const snapshot = 10 // entries between two snapshots
	fill := func(m *member) {
		for i := range 3 * snapshot {
			m.put(fmt.Sprint("fill-", i), "x")
		}
	}
	cases := map[string]struct {
		write func(m *member)
		want  string
	}{
		"none":                    {fill, ""},
		"in the log":              {func(m *member) { fill(m); m.v2("PUT", "folder/key") }, "the log holds writes to the v2 store since its last snapshot: PUT /1/folder/key"},
		"in the log, no snapshot": {func(m *member) { m.v2("PUT", "key") }, "the log holds writes to the v2 store since its last snapshot: PUT /1/key"},
		"in a snapshot":           {func(m *member) { m.v2("PUT", "key"); fill(m) }, "there are keys, users or roles in the v2 store"},
		"a hidden key":            {func(m *member) { m.v2("PUT", "_upgrade_lock"); fill(m) }, ""},
		"deleted":                 {func(m *member) { m.v2("PUT", "key"); m.v2("DELETE", "key"); fill(m) }, ""},
		"just deleted":            {func(m *member) { m.v2("PUT", "key"); fill(m); m.v2("DELETE", "key") }, "v2 store; the log holds writes to the v2 store since its last snapshot: DELETE /1/key"},
	}
	for _, version := range []string{etcdbin.V34, etcdbin.V35} {
		for name, c := range cases {
			t.Run(version+", "+name, func(t *testing.T) {
				t.Parallel()
				m := newMember(t, "a", "127.0.59.1")
				m.cfg.Extra = append(m.cfg.Extra, "--enable-v2", fmt.Sprintf("--snapshot-count=%d", snapshot))
				m.startAs(version, Start{State: StateNew, InitialCluster: m.initialCluster(), Token: "v2"})
				reader := NewV2Reader(m.cfg.DataDir)
				if _, err := reader.Read(); err != nil {
					t.Error(err)
				}
				c.write(m)
				eventually(t, "the reader beside it says the same", func() error {
					got, err := reader.Read()
					if err == nil && (got == "") != (c.want == "") {
						err = fmt.Errorf("got %q", got)
					}
					return err
				})
				m.stop()
				got, err := reader.Read()
				fresh, freshErr := NewV2Reader(m.cfg.DataDir).Read()
				if err != nil || freshErr != nil || got != fresh || (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
					t.Errorf("got %q, %v; afresh %q, %v; want %q", got, err, fresh, freshErr, c.want)
				}
				wantEtcdutl(t, m.cfg.DataDir, got)
			})
		}
	}
}

func wantEtcdutl(t *testing.T, dir, ours string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), etcdbin.Etcdutl(t, etcdbin.V35), "check", "v2store", "--data-dir", dir).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	both := strings.Contains(string(out), "both v2store and WAL")
	store := err != nil && (both || strings.Contains(string(out), "custom content in v2store"))
	log := err != nil && (both || strings.Contains(string(out), "v2 content in WAL"))
	if (err == nil) != (ours == "") || store != strings.Contains(ours, "in the v2 store") || log != strings.Contains(ours, "log holds") {
		t.Errorf("etcdutl says %v %s; ours is %q", err, out, ours)
	}
}

func TestV2OfNoData(t *testing.T) {
	if got, err := NewV2Reader(filepath.Join(t.TempDir(), "etcd")).Read(); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A write that a later leader has overwritten is none.
func TestV2LogIsCutByALowerIndex(t *testing.T) {
	l := v2Log{wanted: true}
	put := []byte("\x08\x01\x12\x03PUT\x1a\x06/1/key")
	own := []byte("\x08\x01\x12\x03PUT\x1a\x0a/0/version")
	add := func(index uint64, data []byte) {
		l.take(&raftpb.Entry{Index: &index, Type: raftpb.EntryNormal.Enum(), Data: data})
	}
	add(5, put)
	add(6, own)
	add(7, put)
	if w, ok := l.after(6); !ok || w.index != 7 {
		t.Errorf("after 6: %v %v; want 7", w, ok)
	}
	add(6, nil)
	if w, ok := l.after(4); !ok || w.index != 5 || w.path != "/1/key" {
		t.Errorf("after 4: %v %v; want 5", w, ok)
	}
	if w, ok := l.after(5); ok {
		t.Errorf("after 5: %v; want none", w)
	}
	for i := range uint64(3 * v2Kept) {
		add(100+i, put)
	}
	if w, ok := l.after(100); !ok || w.index != 100+3*v2Kept-1 || len(l.writes) > v2Kept {
		t.Errorf("of many: %v %v, %d kept", w, ok, len(l.writes))
	}
}
