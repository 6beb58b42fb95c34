package deploy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/quorate/quorate/internal/clustertest/moto"
)

// front stands before moto and answers a call now and then itself: what moto
// lacks, as the API is documented. It also counts the calls.
type front struct {
	URL    string
	mu     sync.Mutex
	calls  []string          // "Action" of each CloudFormation call
	canned map[string]string // Action: the body to answer with instead
}

func newFront(t *testing.T) *front {
	t.Helper()
	// moto finds the bucket of a template's URL in its path only at localhost.
	target, err := url.Parse(strings.Replace(moto.Start(t), "127.0.0.1", "localhost", 1))
	if err != nil {
		t.Fatal(err)
	}
	f := &front{canned: map[string]string{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if body, mine := f.answer(req); mine {
			w.Header().Set("Content-Type", "text/xml")
			io.WriteString(w, body)
			return
		}
		forward.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	f.URL = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	t.Setenv("AWS_ENDPOINT_URL", f.URL)
	return f
}

func (f *front) answer(req *http.Request) (string, bool) {
	raw, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(raw)))
	form, err := url.ParseQuery(string(raw))
	if err != nil || form.Get("Action") == "" {
		return "", false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, form.Get("Action"))
	body, mine := f.canned[form.Get("Action")]
	return body, mine
}

// can answers that action with this body, until honest.
func (f *front) can(action, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.canned[action] = body
}

// honest lets moto answer everything again.
func (f *front) honest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.canned)
}

func (f *front) called(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == action {
			n++
		}
	}
	return n
}

// region is one that looks often.
func region(t *testing.T, name string) *Region {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(name))
	if err != nil {
		t.Fatal(err)
	}
	r := In(cfg)
	r.Every = 10 * time.Millisecond
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error lacks %q: %v", p, err)
		}
	}
}
