package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportUnanswered: each endpoint that does not answer is named, with why.
func TestImportUnanswered(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	must(t, err)
	t.Cleanup(func() { mute.Close() })
	file, password := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(`{"key":"/a","value":"b"}`), 0o600))
	must(t, os.WriteFile(password, []byte("x"), 0o600))
	at := mute.Addr().String()
	for name, tt := range map[string]struct {
		flags []string
		want  []string
	}{
		"refused":             {[]string{"--endpoints=127.0.0.1:1"}, []string{"endpoints: 127.0.0.1:1 does not answer: ", "connection refused"}},
		"refused, with users": {[]string{"--endpoints=127.0.0.1:1", "--user=u", "--password-file=" + password}, []string{"endpoints: 127.0.0.1:1 does not answer: "}},
		"two": {[]string{"--endpoints=http://127.0.0.1:1," + at},
			[]string{"endpoints: http://127.0.0.1:1 does not answer: ", "endpoints: " + at + " does not answer: it can be connected to", "want TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errOut, code := (&rig{t: t}).quorate(append([]string{"backup", "import", file}, tt.flags...)...)
			for _, want := range append(tt.want, "nothing was written") {
				if code != 1 || !strings.Contains(errOut, want) {
					t.Errorf("exit code %d, want 1 and %q:\n%s%s", code, want, out, errOut)
				}
			}
			if strings.Contains(errOut, "what was written stays") {
				t.Errorf("it says %s", errOut)
			}
		})
	}
}
