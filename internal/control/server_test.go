package control

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// leaver counts how often it has been told to leave.
type leaver struct {
	Agent
	left int
}

func (l *leaver) Leave(context.Context, LeaveRequest) error {
	l.left++
	return nil
}

func (*leaver) Metrics() http.Handler { return http.NotFoundHandler() }

// TestCrossOrigin is a page on the operator's screen that posts to the agent
// of the operator's machine: a form needs no answer, and no header of ours.
func TestCrossOrigin(t *testing.T) {
	for _, c := range []struct {
		name, header, value string
		code, left          int
	}{
		{"a program", "", "", 200, 1},
		{"a page of another site", "Sec-Fetch-Site", "cross-site", 403, 0},
		{"the same in an older browser", "Origin", "http://elsewhere.example", 403, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &leaver{}
			r := httptest.NewRequest("POST", "http://10.0.0.1:2378/v1/leave", nil)
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			w := httptest.NewRecorder()
			Handler(l).ServeHTTP(w, r)
			if w.Code != c.code || l.left != c.left {
				t.Errorf("code %d, left %d times; want %d and %d", w.Code, l.left, c.code, c.left)
			}
			if c.code != 200 && !strings.HasPrefix(w.Body.String(), `{"message":"`) {
				t.Errorf("no JSON with a message: %s", w.Body)
			}
		})
	}
}

// TestPlainToTLS says what is wrong when an agent that speaks TLS is asked without.
func TestPlainToTLS(t *testing.T) {
	srv := httptest.NewTLSServer(Handler(&leaver{}))
	defer srv.Close()
	_, err := NewClient(strings.Replace(srv.URL, "https:", "http:", 1), srv.Client()).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HTTPS server") {
		t.Errorf("the error is %v", err)
	}
}

// TestRequests are refusals that a script tells apart by their code.
func TestRequests(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		code                     int
		allow, says              string
	}{
		{"no such path", "GET", "/v1/nothing", "", 404, "", "no such path: GET /v1/nothing"},
		{"the wrong method", "GET", "/v1/leave", "", 405, "POST", "want POST"},
		{"the other wrong method", "DELETE", "/v1/status", "", 405, "GET", "want GET"},
		{"no JSON", "POST", "/v1/leave", "{", 400, "", "unexpected end of JSON"},
		{"too much", "POST", "/v1/leave", `{"undo":` + strings.Repeat(" ", maxBody) + `true}`, 413, "", "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, w := &leaver{}, httptest.NewRecorder()
			Handler(l).ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			if w.Code != c.code || w.Header().Get("Allow") != c.allow || !strings.Contains(w.Body.String(), c.says) || l.left != 0 {
				t.Errorf("code %d, Allow %q, left %d times: %s", w.Code, w.Header().Get("Allow"), l.left, w.Body)
			}
		})
	}
}

func TestCheckPause(t *testing.T) {
	for _, c := range []struct {
		length time.Duration
		reason string
		keys   string
	}{
		{time.Hour, "disks", ""},
		{longestPause, "disks", ""},
		{0, "disks", "for"},
		{-time.Second, "disks", "for"},
		{time.Second, "disks", ""},
		{time.Second - 1, "disks", "for"},
		{longestPause + 1, "disks", "for"},
		{time.Hour, " ", "reason"},
		{0, "", "for reason"},
		{time.Hour, strings.Repeat("x", longestReason), ""},
		{time.Hour, strings.Repeat("x", longestReason+1), "reason"},
		{time.Hour, "Plattentausch, 磁盘", ""},
		{time.Hour, "new\nline", "reason"},
		{time.Hour, "\x1b[31mred", "reason"},
		{time.Hour, "\xff", "reason"},
	} {
		var keys []string
		if err := CheckPause(c.length, c.reason); err != nil {
			for line := range strings.Lines(err.Error()) {
				key, _, _ := strings.Cut(line, ":")
				keys = append(keys, key)
			}
		}
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("%s, %q: wrong are %q, want %q", c.length, c.reason, got, c.keys)
		}
	}
}

// TestNoLeaderIsHealth: etcd's own word for a missing leader is no alarm beside
// the health that says the same, and other alarms stay.
func TestNoLeaderIsHealth(t *testing.T) {
	var n Node
	fill(&n, cluster.Report{Etcd: cluster.EtcdState{Running: true, Errors: []string{noLeader, "NOSPACE"}}})
	if !slices.Equal(n.Alarms, []string{"NOSPACE"}) {
		t.Errorf("the alarms are %q", n.Alarms)
	}
}

// pipe is a listener with one connection.
type pipe struct {
	conn net.Conn
	once sync.Once
	end  chan struct{}
}

func (p *pipe) Accept() (c net.Conn, err error) {
	p.once.Do(func() { c = p.conn })
	if c == nil {
		<-p.end
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *pipe) Close() error   { close(p.end); return nil }
func (p *pipe) Addr() net.Addr { return p.conn.LocalAddr() }

// TestSlowBody: who begins a request and does not end it is let go.
func TestSlowBody(t *testing.T) {
	for _, path := range []string{"leave", "nothing"} {
		synctest.Test(t, func(t *testing.T) { slowBody(t, path) })
	}
}

func slowBody(t *testing.T, path string) {
	client, server := net.Pipe()
	l := &leaver{}
	srv := &http.Server{Handler: Handler(l)}
	go srv.Serve(&pipe{conn: server, end: make(chan struct{})})
	defer srv.Close()
	go io.Copy(io.Discard, client)
	began := time.Now()
	_, err := client.Write([]byte("POST /v1/" + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"))
	for ; err == nil; _, err = client.Write([]byte("{")) { // until the server lets go
		time.Sleep(time.Second)
	}
	if took := time.Since(began); took < bodyLimit || took > bodyLimit+2*time.Second || l.left != 0 {
		t.Errorf("%s: let go after %s, left %d times", path, took, l.left)
	}
}
