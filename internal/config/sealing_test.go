package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/seal"
)

// TestSealing: flags, the file and the environment name the same keys.
func TestSealing(t *testing.T) {
	dir := t.TempDir()
	if err := seal.Generate(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "recipient.txt"))
	if err != nil {
		t.Fatal(err)
	}
	recipient := strings.TrimSpace(string(text))
	identity, sign, verify := filepath.Join(dir, "identity.txt"), filepath.Join(dir, "sign.pem"), filepath.Join(dir, "verify.pem")
	check := func(how string, args ...string) {
		t.Helper()
		c := must(t, good(t, args...)...)
		if problems := c.Validate(); len(problems) > 0 {
			t.Errorf("%s: %s", how, lines(problems))
		}
		k := c.Keys()
		if len(k.Recipients) != 1 || k.Recipients[0] != recipient || k.IdentityFile != identity || k.SignKeyFile != sign ||
			len(k.VerifyKeyFiles) != 1 || k.VerifyKeyFiles[0] != verify || !k.AllowUnsigned || k.Unwrap != nil {
			t.Errorf("%s: %+v", how, k)
		}
	}
	check("flags", "--backup-recipient="+recipient, "--backup-identity-file="+identity, "--backup-sign-key-file="+sign,
		"--backup-verify-key-file="+verify, "--backup-allow-unsigned")
	check("the file", "--config="+file(t, "backup-recipient: ["+recipient+"]\nbackup-identity-file: "+identity+"\nbackup-sign-key-file: "+sign+
		"\nbackup-verify-key-file: ["+verify+"]\nbackup-allow-unsigned: true\n"))
	t.Setenv("QUORATE_BACKUP_RECIPIENT", recipient)
	t.Setenv("QUORATE_BACKUP_IDENTITY_FILE", identity)
	t.Setenv("QUORATE_BACKUP_SIGN_KEY_FILE", sign)
	t.Setenv("QUORATE_BACKUP_VERIFY_KEY_FILE", verify)
	t.Setenv("QUORATE_BACKUP_ALLOW_UNSIGNED", "true")
	check("the environment")
	t.Setenv("QUORATE_BACKUP_IDENTITY_FILE", "")
	warnings := strings.Join(must(t, good(t)...).Warnings(), "\n")
	if !strings.Contains(warnings, "backup-identity-file: not given") {
		t.Errorf("without an identity: %s", warnings)
	}
	if s := must(t, good(t, "--backup-recipient=")...).Sealer(); s.Encrypts() {
		t.Error("an empty recipient encrypts")
	}
}

func TestStored(t *testing.T) {
	for want, s := range map[string]Stored{
		"":                      {Store: "file:///x", Cluster: "c"},
		"store: not given":      {Cluster: "c"},
		"store: ":               {Store: "ftp://x", Cluster: "c"},
		"cluster: ":             {Store: "file:///x", Cluster: "a/b"},
		"backup-identity-file:": {Store: "file:///x", Cluster: "c", Sealing: Sealing{BackupIdentityFile: "/no"}},
	} {
		if got := lines(s.Validate()); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}
