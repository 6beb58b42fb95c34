package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

// TestStoreDown: without the store a node with data starts, and one without
// waits and says so; when the store is back, it goes on.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	names := []string{"a", "b", "c"}
	id := r.oneCluster(names...)
	r.put(r.client(names...), "k", "v")
	for _, h := range []*host{a, b} {
		h.crash()
	}
	c.wipe()
	store, away := filepath.Join(r.dir, "store"), filepath.Join(r.dir, "store-away")
	must(t, os.WriteFile(away, nil, 0o600)) // in whose place no directory can be made
	exchange(t, store, away)
	for _, h := range []*host{a, b, c} {
		h.start()
	}
	r.serving(40*time.Second, "a", "b")
	if now := r.oneCluster("a", "b"); now != id {
		t.Errorf("cluster %s, before %s", now, id)
	}
	r.wantValue(r.client("a", "b"), "k", "v")
	c.says(20*time.Second, "the ledger is unreadable, and the disk is empty")
	c.stays(8, "waits", func(rep cluster.Report) error {
		if rep.Etcd.Running || rep.Charter != nil {
			return fmt.Errorf("running %v, charter %v", rep.Etcd.Running, rep.Charter)
		}
		return because("wait: ")(rep)
	})
	if !strings.Contains(c.metrics(), "quorate_store_errors_total") || strings.Contains(c.metrics(), "quorate_store_errors_total 0\n") {
		t.Error("no store error is counted")
	}
	exchange(t, away, store)
	r.voters(60*time.Second, names...)
	r.onlyEpochOne()
}

// exchange gives two paths each other's file or directory in one step: an agent
// that looked in between would find nothing there, and may make it.
func exchange(t testing.TB, a, b string) {
	t.Helper()
	must(t, unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE))
}

// serving waits until these hosts' etcds serve, whatever their agents can prove.
func (r *rig) serving(limit time.Duration, names ...string) {
	r.t.Helper()
	r.eventually(limit, fmt.Sprint(names, " serve"), func() error {
		for _, n := range names {
			rep, err := r.nodes[n].report()
			switch {
			case err != nil:
				return err
			case !rep.Etcd.Healthy || rep.Etcd.Learner:
				return errors.New(n + ": " + rep.Reason)
			}
		}
		return nil
	})
}

// carelessS3 speaks just enough of S3, and ignores If-None-Match.
func carelessS3(t *testing.T) {
	var mu sync.Mutex
	objects := map[string][]byte{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, there := objects[q.URL.Path]
		switch q.Method {
		case http.MethodPut:
			objects[q.URL.Path] = readBody(q)
		case http.MethodDelete:
			delete(objects, q.URL.Path)
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet, http.MethodHead:
			if !there {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>`)
				return
			}
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		}
	}))
	t.Cleanup(srv.Close)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL": srv.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
}

// readBody undoes the SDK's aws-chunked encoding, as far as a small object
// needs it.
func readBody(q *http.Request) []byte {
	raw, _ := io.ReadAll(q.Body)
	if !strings.Contains(q.Header.Get("Content-Encoding"), "aws-chunked") {
		return raw
	}
	var out []byte
	for rest := string(raw); ; {
		head, after, found := strings.Cut(rest, "\r\n")
		size, err := strconv.ParseInt(strings.Split(head, ";")[0], 16, 64)
		if !found || err != nil || size == 0 || int(size) > len(after) {
			return out
		}
		out = append(out, after[:size]...)
		rest = strings.TrimPrefix(after[size:], "\r\n")
	}
}

// TestUnconditionalStore: a store that ignores create-if-absent is refused, by
// name, and nobody founds on it.
func TestUnconditionalStore(t *testing.T) {
	carelessS3(t)
	r := newRig(t, "--founding-wait", "500ms")
	r.store = "s3://careless?use_path_style=true"
	a, b, c := r.trio()
	all := []*host{a, b, c}
	for _, h := range all {
		h.start()
	}
	for _, h := range all {
		h.says(40*time.Second, "the store cannot hold a ledger")
		h.stays(5, "refuses", func(rep cluster.Report) error {
			if rep.Charter != nil || rep.Etcd.Running || !strings.Contains(rep.Reason, "s3://careless") {
				return fmt.Errorf("charter %v, running %v: %s", rep.Charter, rep.Etcd.Running, rep.Reason)
			}
			return because("refuse: ")(rep)
		})
	}
}

// TestS3: three nodes found on S3, with its conditional writes; settled, they
// let it rest.
func TestS3(t *testing.T) {
	moto.Bucket(t, moto.Start(t), "ledgers")
	r := newRig(t)
	r.store = "s3://ledgers?prefix=of/ours&use_path_style=true"
	a, b, c := r.trio()
	all := []*host{a, b, c}
	for _, h := range all {
		h.start()
	}
	r.voters(60*time.Second, "a", "b", "c")
	r.oneCluster("a", "b", "c")
	// Settled: for seven reports, a second apart, nothing is asked. (A new leader's
	// agent asks once what it has to know as the keeper.)
	for _, h := range all {
		var asked map[string]int
		r.eventually(90*time.Second, h.name+" asks the store nothing", func() error {
			asked = h.requests()
			if asked["read"] == 0 {
				return errors.New("it has asked nothing yet")
			}
			var err error
			h.stays(7, "reports", func(cluster.Report) error {
				if now := h.requests(); fmt.Sprint(now) != fmt.Sprint(asked) {
					err = fmt.Errorf("requests %v, before %v", now, asked)
				}
				return nil
			})
			return err
		})
		if h.name == "a" {
			t.Logf("requests of %s until it settled: %v", h.name, asked)
		}
	}
}

var requestLine = regexp.MustCompile(`(?m)^quorate_store_requests_total\{op="(\w+)"\} (\d+)$`)

// requests are those to the store, by operation.
func (h *host) requests() map[string]int {
	out := map[string]int{}
	for _, m := range requestLine.FindAllStringSubmatch(h.metrics(), -1) {
		out[m[1]], _ = strconv.Atoi(m[2])
	}
	return out
}
