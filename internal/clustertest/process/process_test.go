package process

import (
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestMain makes the test binary a server.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		_ = http.ListenAndServe(os.Args[2], http.NotFoundHandler())
		return
	}
	os.Exit(m.Run())
}

// TestPause: what is paused answers nothing, not even once; what goes on, does.
func TestPause(t *testing.T) {
	addr := FreeAddr(t)
	p := Start(t, os.Args[0], "serve", addr)
	ask := func(limit time.Duration) error {
		resp, err := (&http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	answers := func() {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for err := ask(5 * time.Second); err != nil; err = ask(5 * time.Second) {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	for range 50 {
		answers()
		Pause(t, p)
		if ask(50*time.Millisecond) == nil {
			t.Fatal("it answers though it is paused")
		}
		Resume(t, p)
	}
	answers()
}

func TestFreeAddr(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		addr := FreeAddr(t)
		if seen[addr] {
			t.Fatalf("%s is given twice", addr)
		}
		seen[addr] = true
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
