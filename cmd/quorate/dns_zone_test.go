package main

import (
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/publish"
)

// TestRotatedKeyFile: the zone that an agent has opened once takes a new key
// out of its file.
func TestRotatedKeyFile(t *testing.T) {
	_, url := bind(t, "")
	target, err := publish.Parse(url)
	must(t, err)
	right, err := os.ReadFile(target.KeyFile)
	must(t, err)
	must(t, os.WriteFile(target.KeyFile, []byte("hmac-sha256:test-key:aGFsbG8gaGFsbG8gaGFsbG8="), 0o600))
	zone, err := openZone(t.Context(), target)
	must(t, err)
	if _, err := zone.List(t.Context(), "example.org"); err == nil || !strings.Contains(err.Error(), "does not know the key") {
		t.Errorf("with the old key: %v", err)
	}
	must(t, os.WriteFile(target.KeyFile, right, 0o600))
	if _, err := zone.List(t.Context(), "example.org"); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}
