package v2backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/process"
)

// TestMain lets the test binary be etcd, as the real binary is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startEtcd runs an etcd of one member until the test ends, and waits for it.
func startEtcd(t testing.TB, argv ...string) (endpoint string) {
	t.Helper()
	client, peer := "http://"+process.FreeAddr(t), "http://"+process.FreeAddr(t)
	process.Start(t, argv[0], append(argv[1:], "--data-dir", t.TempDir(), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)...)
	eventually(t, func() error {
		resp, err := http.Get(client + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = errors.New(resp.Status)
			}
		}
		return err
	})
	return client
}

func eventually(t testing.TB, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for err := ok(); err != nil; err = ok() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

func self(t testing.TB) []string {
	t.Helper()
	program, err := os.Executable()
	must(t, err)
	return []string{program, "etcd", "--log-level=error"}
}

func connect(t testing.TB, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// node is a node of the v2 API, and a line of etcd-aws's file but for nodes.
type node struct {
	Key           string     `json:"key,omitempty"`
	Value         string     `json:"value,omitempty"`
	Dir           bool       `json:"dir,omitempty"`
	Expiration    *time.Time `json:"expiration,omitempty"`
	TTL           int64      `json:"ttl,omitempty"`
	ModifiedIndex uint64     `json:"modifiedIndex,omitempty"`
	CreatedIndex  uint64     `json:"createdIndex,omitempty"`
	Nodes         []node     `json:"nodes,omitempty"`
}

// putV2 sets a key of the v2 API; without a value, a directory.
func putV2(t testing.TB, endpoint, key, value string, ttl int) {
	t.Helper()
	form := url.Values{"value": {value}}
	if value == "" {
		form = url.Values{"dir": {"true"}}
	}
	if ttl > 0 {
		form.Set("ttl", fmt.Sprint(ttl))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/v2/keys"+key, strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("putting %s: %s", key, resp.Status)
	}
}

// dumpV2 writes what etcd-aws does: each node, then those below it.
func dumpV2(t testing.TB, endpoint, key string, out *json.Encoder) {
	t.Helper()
	resp, err := http.Get(endpoint + "/v2/keys" + key)
	must(t, err)
	defer resp.Body.Close()
	var answer struct{ Node node }
	must(t, json.NewDecoder(resp.Body).Decode(&answer))
	below := answer.Node.Nodes
	answer.Node.Nodes = nil
	must(t, out.Encode(answer.Node))
	for _, n := range below {
		dumpV2(t, endpoint, n.Key, out)
	}
}

// TestImportFromEtcd2: what etcd 3.4's v2 API holds comes into etcd 3.7, once,
// with the time that it has left.
func TestImportFromEtcd2(t *testing.T) {
	old := startEtcd(t, apt.Need(t, "/usr/bin/etcd", "etcd-server"), "--enable-v2")
	for key, value := range map[string]string{"/a": "1", "/d/b": "two\nlines", "/d/e/c": `<"three">`, "/ü/日本": "ß", "/taken": "ours"} {
		putV2(t, old, key, value, 0)
	}
	putV2(t, old, "/soon", "gone", 1000)
	putV2(t, old, "/dir-soon", "", 500)
	putV2(t, old, "/dir-soon/x", "gone too", 0)
	var lines bytes.Buffer
	dumpV2(t, old, "/", json.NewEncoder(&lines))
	backup := packed(t, lines.String())

	c := connect(t, startEtcd(t, self(t)...))
	_, err := c.Put(t.Context(), "/taken", "theirs")
	must(t, err)
	run := func(later time.Duration, dry bool) Result {
		t.Helper()
		got, err := Import(t.Context(), bytes.NewReader(backup), c, func() time.Time { return time.Now().Add(later) }, dry)
		must(t, err)
		return got
	}
	if got, want := run(0, true), (Result{Created: 7, Leased: 2, Dirs: 4}); got != want {
		t.Errorf("dry: %+v, want %+v", got, want)
	}
	if r, err := c.Get(t.Context(), "/a"); err != nil || r.Count != 0 {
		t.Errorf("a dry run wrote: %v, %v", r, err)
	}
	if got, want := run(2000*time.Second, false), (Result{Created: 4, Kept: 1, Expired: 2, Dirs: 4}); got != want {
		t.Errorf("when two have expired: %+v, want %+v", got, want)
	}
	if got, want := run(100*time.Second, false), (Result{Created: 2, Leased: 2, Same: 4, Kept: 1, Dirs: 4}); got != want {
		t.Errorf("100 s later: %+v, want %+v", got, want)
	}
	if got, want := run(100*time.Second, false), (Result{Same: 6, Kept: 1, Dirs: 4}); got != want {
		t.Errorf("again: %+v, want %+v", got, want)
	}
	for key, want := range map[string]string{"/a": "1", "/d/b": "two\nlines", "/d/e/c": `<"three">`, "/ü/日本": "ß", "/taken": "theirs", "/soon": "gone", "/dir-soon/x": "gone too"} {
		r, err := c.Get(t.Context(), key)
		must(t, err)
		if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != want || r.Kvs[0].Version != 1 {
			t.Errorf("%s: %v, want %q", key, r.Kvs, want)
		}
	}
	ttl := func(key string) int64 {
		r, err := c.Get(t.Context(), key)
		must(t, err)
		left, err := c.TimeToLive(t.Context(), clientv3.LeaseID(r.Kvs[0].Lease))
		must(t, err)
		return left.GrantedTTL
	}
	if s, d := ttl("/soon"), ttl("/dir-soon/x"); s < 870 || s > 901 || d < 370 || d > 401 {
		t.Errorf("leases of %d and %d s, want some 900 and 400", s, d)
	}
	if l, err := c.Leases(t.Context()); err != nil || len(l.Leases) != 2 {
		t.Errorf("leases %v, %v", l, err) // the second run granted none
	}
}

// TestImportStopsAndGoesOn: an error ends it, and a second run does the rest.
func TestImportStopsAndGoesOn(t *testing.T) {
	c := connect(t, startEtcd(t, self(t)...))
	var text strings.Builder
	for i := range 500 {
		value := "x"
		if i == 250 {
			value = strings.Repeat("x", 3<<20) // more than etcd takes
		}
		fmt.Fprintf(&text, "{\"key\":\"/%d\",\"value\":%q}\n", i, value)
	}
	_, err := Import(t.Context(), strings.NewReader(text.String()), c, time.Now, false)
	if err == nil || !strings.HasPrefix(err.Error(), `key "/250": creating it: `) {
		t.Errorf("error %v", err)
	}
	small := strings.ReplaceAll(text.String(), strings.Repeat("x", 3<<20), "x")
	got, err := Import(t.Context(), strings.NewReader(small), c, time.Now, false)
	if err != nil || got.Created+got.Same != 500 || got.Same == 0 {
		t.Errorf("the rest: %+v, %v", got, err)
	}
}
