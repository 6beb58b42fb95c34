package main

import (
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// TestHealthPort: a load balancer without a certificate learns whether the
// node is ready, by that node's own port for it, and nothing else.
func TestHealthPort(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	r := newRig(t, "--size", "1", "--health-port", "2377")
	a := r.machine("a", 68)
	r.list("a")
	ca.issue("server", 10, a.addr, "127.0.0.1")
	r.flags = append(r.flags, "--cert-file", ca.file("server"), "--key-file", ca.file("server-key"), "--trusted-ca-file", ca.file("ca"), "--client-cert-auth")
	a.start()
	client := &http.Client{Timeout: 3 * time.Second}
	ask := func(method, path string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, a.url(2377)+path, nil)
		must(t, err)
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	says := func(want int) {
		t.Helper()
		r.eventually(30*time.Second, fmt.Sprintf("the health port says %d", want), func() error {
			code, body, err := ask("GET", "/readyz")
			if err == nil && code != want {
				err = fmt.Errorf("%d: %s", code, body)
			}
			if err == nil && code != 200 && code != 503 {
				t.Fatalf("%d: %s", code, body)
			}
			return err
		})
	}
	says(200)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"HEAD", "/readyz", 200}, {"POST", "/readyz", 404}, {"GET", "/readyz/", 404}, {"GET", "//readyz", 404},
		{"GET", "/", 404}, {"GET", "/healthz", 404}, {"GET", "/metrics", 404}, {"GET", "/v1/report", 404}, {"POST", "/v1/pause", 404}, {"GET", "/debug/pprof/", 404},
	} {
		if code, body, err := ask(c.method, c.path); code != c.want || err != nil {
			t.Errorf("%s %s: %d %q, %v", c.method, c.path, code, body, err)
		}
	}
	// On the agent's own port the same stranger learns nothing.
	ca.issue("stranger", 30)
	anonymous := ca.client("stranger")
	anonymous.Certificates = nil
	stranger := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: anonymous}}
	if resp, err := stranger.Get("https://" + a.addr + ":2378/readyz"); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: %s", resp.Status)
	}
	must(t, syscall.Kill(a.etcdPID(), syscall.SIGSTOP))
	says(503)
	must(t, syscall.Kill(a.etcdPID(), syscall.SIGCONT))
	says(200)
}
