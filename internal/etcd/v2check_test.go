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
					if err == nil && (got.Content == "") != (c.want == "") {
						err = fmt.Errorf("got %q", got.Content)
					}
					return err
				})
				m.stop()
				got, err := reader.Read()
				fresh, freshErr := NewV2Reader(m.cfg.DataDir).Read()
				if err != nil || freshErr != nil || got != fresh || (got.Content == "") != (c.want == "") || !strings.Contains(got.Content, c.want) {
					t.Errorf("got %+v, %v; afresh %+v, %v; want %q", got, err, fresh, freshErr, c.want)
				}
				wantEtcdutl(t, m.cfg.DataDir, got.Content)
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
	if got, err := NewV2Reader(filepath.Join(t.TempDir(), "etcd")).Read(); got != (V2{}) || err != nil {
		t.Errorf("%+v, %v", got, err)
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
	if len(l.writes) != 3 || l.writes[1].index != 6 {
		t.Errorf("with etcd's own: %v; want 5, 6, 7", l.writes)
	}
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

// TestElderLog: a log that etcd 3.5 began makes 3.7 panic, though 3.6 ran in
// between; after a snapshot, and enough entries behind it, it does not.
func TestElderLog(t *testing.T) {
	m := newMember(t, "a", "127.0.59.1")
	m.startAs(etcdbin.V35, Start{State: StateNew, InitialCluster: m.initialCluster(), Token: "elder"})
	m.stop()
	m.startAs(etcdbin.V36, Start{})
	reader := NewV2Reader(m.cfg.DataDir)
	v, err := reader.Read()
	if err != nil || v.Content != "" || !strings.Contains(v.Elder(), "since its last snapshot") {
		t.Fatalf("of a log that 3.5 began: %+v %v", v, err)
	}
	m.stop()
	m.startDoomed(etcdbin.V37)
	m.startAs(etcdbin.V36, Start{})
	for deadline := limit(t); v.Elder() != ""; {
		if err := m.agent.Propose(deadline, 500, 8); err != nil {
			t.Fatal(err)
		}
		if v, err = reader.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if v.Snapshot < v.Last || v.End < v.Last+keptForOthers {
		t.Errorf("not elder: %+v", v)
	}
	m.stop()
	m.startAs(etcdbin.V37, Start{})
	if got := m.status().Revision; got != 1 {
		t.Errorf("the proposals have changed something: revision %d", got)
	}
}

// startDoomed launches the member as a version that is to end with a panic.
func (m *member) startDoomed(version string) {
	m.t.Helper()
	args := Args(sevenThree, m.cfg, Start{})
	proc, err := Launch(m.dir, Binary{Path: etcdbin.Etcd(m.t, version)}, args, Env(nil, args))
	if err != nil {
		m.t.Fatal(err)
	}
	m.own(proc)
	select {
	case <-proc.Done():
	case <-limit(m.t).Done():
		m.t.Fatalf("etcd %s runs on a log that 3.5 began: what quorate does about it is for nothing", version)
	}
}

func TestElder(t *testing.T) {
	for _, c := range []struct {
		v    V2
		want string
	}{
		{V2{}, ""},
		{V2{Last: 5, End: 9}, "since its last snapshot"},
		{V2{Last: 5, Snapshot: 5, End: 9}, "for members that lag"},
		{V2{Last: 5, Snapshot: 7, End: 5 + keptForOthers - 1}, "for members that lag"},
		{V2{Last: 5, Snapshot: 7, End: 5 + keptForOthers}, ""},
		{V2{Snapshot: 7, End: 9}, ""},
	} {
		if got := c.v.Elder(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q; want %q", c.v, got, c.want)
		}
	}
}
