package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// pair is a directory of fresh keys.
type pair struct{ dir, recipient string }

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{dir: t.TempDir()}
	if err := Generate(p.dir); err != nil {
		t.Fatal(err)
	}
	p.recipient = strings.TrimSpace(string(p.read(t, "recipient.txt")))
	return p
}

func (p pair) file(name string) string { return filepath.Join(p.dir, name) }

func (p pair) read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(p.file(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keys are all of the pair's.
func (p pair) keys() Keys {
	return Keys{Recipients: []string{p.recipient}, IdentityFile: p.file("identity.txt"), SignKeyFile: p.file("sign.pem")}
}

// writer may encrypt and sign, reader decrypt and verify.
func (p pair) writer() *Sealer {
	return New(Keys{Recipients: []string{p.recipient}, SignKeyFile: p.file("sign.pem")})
}

func (p pair) reader() *Sealer {
	return New(Keys{IdentityFile: p.file("identity.txt"), VerifyKeyFiles: []string{p.file("verify.pem")}})
}

func encrypted(t testing.TB, s *Sealer, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := s.Encrypt(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decrypted(s *Sealer, sealed []byte) ([]byte, error) {
	r, err := s.Decrypt(bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestGenerateMakesAWholeSet(t *testing.T) {
	p := newPair(t)
	if problems := New(p.keys()).Check(); len(problems) > 0 {
		t.Errorf("its own keys: %v", problems)
	}
	for _, secret := range []string{"identity.txt", "sign.pem"} {
		info, err := os.Stat(p.file(secret))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", secret, info.Mode(), err)
		}
	}
	before := p.read(t, "identity.txt")
	if err := Generate(p.dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("made again: %v", err)
	}
	if !bytes.Equal(p.read(t, "identity.txt"), before) {
		t.Error("a key was written over")
	}
}

// Whatever the size and however it is read, what was encrypted comes back, and
// neither a cut nor a flipped bit passes for it.
func TestEncryptProperties(t *testing.T) {
	p := newPair(t)
	rapid.Check(t, func(r *rapid.T) {
		text := make([]byte, rapid.IntRange(0, 200<<10).Draw(r, "size"))
		for i := range text {
			text[i] = byte(i*7 + i>>8)
		}
		sealed := encrypted(t, p.writer(), text)
		if len(text) > 32 && bytes.Contains(sealed, text[:32]) {
			r.Fatal("the text can be read")
		}
		in, err := p.reader().Decrypt(iotest.HalfReader(bytes.NewReader(sealed)))
		if err != nil {
			r.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, text) {
			r.Fatalf("%d of %d bytes came back: %v", len(got), len(text), err)
		}
		cut := sealed[:rapid.IntRange(len(intro), len(sealed)-1).Draw(r, "cut")]
		if got, err := decrypted(p.reader(), cut); err == nil {
			r.Fatalf("cut at %d of %d it reads %d bytes", len(cut), len(sealed), len(got))
		}
		at := rapid.IntRange(len(intro), len(sealed)-1).Draw(r, "flip")
		sealed[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if got, err := decrypted(p.reader(), sealed); err == nil {
			r.Fatalf("flipped at %d it reads %d bytes", at, len(got))
		}
	})
}

func TestDecrypt(t *testing.T) {
	a, b := newPair(t), newPair(t)
	text := []byte("secret")
	for both := range 2 {
		to := []string{a.recipient, b.recipient}[:both+1]
		sealed := encrypted(t, New(Keys{Recipients: to}), text)
		if got, err := decrypted(a.reader(), sealed); err != nil || string(got) != "secret" {
			t.Errorf("to %d recipients: the first reads %q, %v", both+1, got, err)
		}
		got, err := decrypted(b.reader(), sealed)
		if both == 1 && (err != nil || string(got) != "secret") {
			t.Errorf("the second of two reads %q, %v", got, err)
		}
		if both == 0 && !errors.Is(err, ErrNoIdentity) {
			t.Errorf("another's identity reads %q, %v", got, err)
		}
	}
	sealed := encrypted(t, a.writer(), text)
	for name, s := range map[string]*Sealer{"nil": nil, "without identity": a.writer()} {
		if _, err := decrypted(s, sealed); !errors.Is(err, ErrNoIdentity) || !strings.Contains(err.Error(), "backup-identity-file") {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := decrypted(s, text); err != nil || string(got) != "secret" {
			t.Errorf("%s: plain text reads %q, %v", name, got, err)
		}
	}
	if got, err := decrypted(a.reader(), nil); err != nil || len(got) > 0 {
		t.Errorf("nothing reads %q, %v", got, err)
	}
	broken := errors.New("broken on purpose")
	if _, err := a.reader().Decrypt(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a broken reader: %v", err)
	}
	if got := encrypted(t, nil, text); string(got) != "secret" {
		t.Errorf("nil writes %q", got)
	}
}

func TestVerify(t *testing.T) {
	a, b := newPair(t), newPair(t)
	message := []byte("quorate test v1\nhello")
	signature, err := a.writer().Sign(message)
	if err != nil || len(signature) != 64 {
		t.Fatalf("%d bytes, %v", len(signature), err)
	}
	trusts := func(allow bool, files ...string) *Sealer {
		return New(Keys{VerifyKeyFiles: files, AllowUnsigned: allow})
	}
	other := bytes.Clone(signature)
	other[3] ^= 1
	tests := map[string]struct {
		by        *Sealer
		signature []byte
		want      error
	}{
		"its own key":                     {a.writer(), signature, nil},
		"a trusted key":                   {trusts(false, a.file("verify.pem")), signature, nil},
		"the second of two trusted keys":  {trusts(false, b.file("verify.pem"), a.file("verify.pem")), signature, nil},
		"another's key":                   {trusts(false, b.file("verify.pem")), signature, ErrForged},
		"another's key, unsigned allowed": {trusts(true, b.file("verify.pem")), signature, ErrForged},
		"a flipped bit":                   {a.writer(), other, ErrForged},
		"cut":                             {a.writer(), signature[:63], ErrForged},
		"none":                            {a.writer(), nil, ErrUnsigned},
		"none, demanded by a reader":      {trusts(false, a.file("verify.pem")), nil, ErrUnsigned},
		"none, allowed":                   {trusts(true, a.file("verify.pem")), nil, nil},
		"nobody looks":                    {nil, nil, nil},
		"nobody looks at a wrong one":     {New(Keys{Recipients: []string{a.recipient}}), other, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.by.Verify(message, tt.signature); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if err := a.writer().Verify([]byte("quorate test v1\nhellO"), signature); !errors.Is(err, ErrForged) {
		t.Errorf("another message: %v", err)
	}
	for s, want := range map[*Sealer]bool{nil: false, a.writer(): true, a.reader(): true, trusts(true, a.file("verify.pem")): false} {
		if s.Demands() != want {
			t.Errorf("%+v demands a signature: %v", s, s.Demands())
		}
	}
}

// A changed file counts at the next use.
func TestChangedKeys(t *testing.T) {
	a, b := newPair(t), newPair(t)
	s := New(Keys{IdentityFile: a.file("identity.txt"), SignKeyFile: a.file("sign.pem")})
	sealed := encrypted(t, b.writer(), []byte("secret"))
	if _, err := decrypted(s, sealed); !errors.Is(err, ErrNoIdentity) {
		t.Fatalf("before: %v", err)
	}
	first, _ := s.Signer()
	for _, name := range []string{"identity.txt", "sign.pem"} {
		if err := os.WriteFile(a.file(name), b.read(t, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := decrypted(s, sealed); err != nil || string(got) != "secret" {
		t.Errorf("after: %q, %v", got, err)
	}
	if second, err := s.Signer(); err != nil || second == first || len(second) != 16 {
		t.Errorf("signer %q, then %q, %v", first, second, err)
	}
}

// Each misuse is one error that begins with its key; secrets are in none.
func TestCheck(t *testing.T) {
	a, b := newPair(t), newPair(t)
	secret := strings.TrimSpace(string(a.read(t, "identity.txt")))
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := map[string]struct {
		keys Keys
		want []string // what the problems begin with
	}{
		"none": {Keys{}, nil},
		"all":  {a.keys(), nil},
		"a secret key as recipient": {Keys{Recipients: []string{secret}},
			[]string{"backup-recipient: is a secret key"}},
		"a secret key among words":    {Keys{Recipients: []string{"key=" + strings.ToLower(secret)}}, []string{"backup-recipient: is a secret key"}},
		"a secret key as a file":      {Keys{IdentityFile: secret}, []string{"backup-identity-file: is a secret key"}},
		"a secret key, in lower case": {Keys{IdentityFile: strings.ToLower(secret)}, []string{"backup-identity-file: is a secret key"}},
		"a secret key to sign with":   {Keys{SignKeyFile: secret}, []string{"backup-sign-key-file: is a secret key"}},
		"a secret key to trust":       {Keys{VerifyKeyFiles: []string{secret}}, []string{"backup-verify-key-file: is a secret key"}},
		"no recipient":                {Keys{Recipients: []string{"age1nonsense"}}, []string{`backup-recipient: "age1nonsense": want`}},
		"two in one":                  {Keys{Recipients: []string{a.recipient + "\n" + b.recipient}}, []string{"backup-recipient: "}},
		"a comment":                   {Keys{Recipients: []string{"# none"}}, []string{"backup-recipient: "}},
		"identity missing":            {Keys{IdentityFile: a.file("none")}, []string{"backup-identity-file: stat "}},
		"identity, a directory":       {Keys{IdentityFile: a.dir}, []string{"backup-identity-file: " + a.dir + ": want a file"}},
		"identity spoilt":             {Keys{IdentityFile: write("i", secret[:50])}, []string{"backup-identity-file: "}},
		"identity empty":              {Keys{IdentityFile: write("i", "# comment\n")}, []string{"backup-identity-file: "}},
		"identity of another":         {Keys{Recipients: []string{b.recipient}, IdentityFile: a.file("identity.txt")}, []string{"backup-identity-file: " + a.file("identity.txt") + ": opens nothing"}},
		"one of two recipients":       {Keys{Recipients: []string{b.recipient, a.recipient}, IdentityFile: a.file("identity.txt")}, nil},
		"public for private":          {Keys{SignKeyFile: a.file("verify.pem")}, []string{"backup-sign-key-file: " + a.file("verify.pem") + ": want a PEM PRIVATE KEY"}},
		"private for public":          {Keys{VerifyKeyFiles: []string{a.file("sign.pem")}}, []string{"backup-verify-key-file: " + a.file("sign.pem") + ": holds a PEM PRIVATE KEY"}},
		"no PEM at all":               {Keys{VerifyKeyFiles: []string{a.file("recipient.txt")}}, []string{"backup-verify-key-file: "}},
		"all wrong": {Keys{Recipients: []string{"x"}, IdentityFile: "/none", SignKeyFile: "/none", VerifyKeyFiles: []string{"/none", a.file("verify.pem"), "/none"}},
			[]string{"backup-recipient: ", "backup-identity-file: ", "backup-sign-key-file: ", "backup-verify-key-file: ", "backup-verify-key-file: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			problems := New(tt.keys).Check()
			if len(problems) != len(tt.want) {
				t.Fatalf("problems %v", problems)
			}
			for i, p := range problems {
				if !strings.HasPrefix(p.Error(), tt.want[i]) {
					t.Errorf("%q, want %q…", p, tt.want[i])
				}
				if strings.Contains(strings.ToUpper(p.Error()), secret[20:40]) {
					t.Errorf("a secret is told: %v", p)
				}
			}
		})
	}
}

// A key service unwraps the identity file; its failure is not the bytes' fault.
func TestUnwrap(t *testing.T) {
	p := newPair(t)
	keys := p.keys()
	var fail error
	keys.Unwrap = func(_ context.Context, b []byte) ([]byte, error) {
		for i := range b {
			b[i] ^= 0x55
		}
		return b, fail
	}
	wrapped, _ := keys.Unwrap(t.Context(), p.read(t, "identity.txt"))
	if err := os.WriteFile(p.file("identity.txt"), wrapped, 0o600); err != nil {
		t.Fatal(err)
	}
	sealed := encrypted(t, New(keys), []byte("secret"))
	if got, err := decrypted(New(keys), sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	fail = errors.New("the service is away")
	if _, err := decrypted(New(keys), sealed); !errors.Is(err, fail) || !errors.Is(err, ErrNoIdentity) {
		t.Errorf("error %v", err)
	}
}

// OpenSSL's files are ours, and its verdict too.
func TestOpenSSL(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	private, public := filepath.Join(dir, "k"), filepath.Join(dir, "p")
	run("genpkey", "-algorithm", "ed25519", "-out", private)
	run("pkey", "-in", private, "-pubout", "-out", public)
	message := []byte("quorate test v1\n")
	signature, err := New(Keys{SignKeyFile: private}).Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Keys{VerifyKeyFiles: []string{public}}).Verify(message, signature); err != nil {
		t.Error(err)
	}
	for name, text := range map[string][]byte{"m": message, "s": signature} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", filepath.Join(dir, "m"), "-sigfile", filepath.Join(dir, "s"))
}
