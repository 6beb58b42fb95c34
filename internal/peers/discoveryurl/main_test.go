package discoveryurl

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put sets a key of the v2 API.
func put(t testing.TB, u, value string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u, strings.NewReader(url.Values{"value": {value}}.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatal(resp.Status)
	}
}

// eventually waits for a condition; its last error says what was missing.
func eventually(t testing.TB, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for err := ok(); err != nil; err = ok() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Millisecond) // between two looks
	}
}
