package control

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
