package ssh

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestQuote: any shell reads the words back.
func TestQuote(t *testing.T) {
	words := []string{"plain", "", "two words", "it's", `"$HOME"`, "`id`", "a\nb", "*", "~", "-x", "ü", `\`}
	for _, shell := range []string{"sh", "bash"} {
		out, err := exec.Command(shell, "-c", `printf '%s|' "$@"; `+`printf '%s|' `+line(words), "-", "x").Output()
		if want := "x|" + strings.Join(words, "|") + "|"; err != nil || string(out) != want {
			t.Errorf("%s reads %q, want %q: %v", shell, out, want, err)
		}
	}
}

// TestProxy: what a bastion's client is told is read by a shell, and by ssh,
// for which % is a mark.
func TestProxy(t *testing.T) {
	o := Options{Jump: "ops@one,two:2222", Identity: "/keys/100% mine", ConfigFile: "/etc/x", AcceptNew: true}
	got := o.proxy()
	for _, want := range []string{"StrictHostKeyChecking=accept-new", "-F /etc/x", "'/keys/100%% mine'", "-J ops@one", "-W '[%h]:%p' -- ssh://two:2222"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s in %s", want, got)
		}
	}
}

// TestExplained: what OpenSSH 9.2 says, and what a person is told.
func TestExplained(t *testing.T) {
	for said, want := range map[string]error{
		"No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\nHost key verification failed.":                   ErrUnknownKey,
		"@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@\nHost key for x has changed …\nHost key verification failed.": ErrChangedKey,
		"root@10.0.0.1: Permission denied (publickey).":                          ErrDenied,
		"Received disconnect from 10.0.0.1: 2: Too many authentication failures": ErrDenied,
	} {
		if err := explained(said); !errors.Is(err, want) {
			t.Errorf("%s: %v", said, err)
		}
	}
	const refused, closed = "ssh: connect to host x port 22: Connection refused", "kex_exchange_identification: Connection closed by remote host"
	for said, want := range map[string]string{refused: refused, closed: closed, refused + "\r\n" + closed: refused} {
		if got := explained(said).Error(); got != want {
			t.Errorf("%q: %s", said, got)
		}
	}
}

// TestTail keeps the end.
func TestTail(t *testing.T) {
	var end tail
	for range 100 {
		if _, err := end.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = end.Write([]byte("last\n"))
	if got := end.String(); len(got) > tailBytes || !strings.HasSuffix(got, "xlast") {
		t.Errorf("%d bytes", len(got))
	}
}
