package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/seal"
)

// TestAWS: what the service's own API has encrypted opens, while the key is there.
func TestAWS(t *testing.T) {
	moto.Start(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	service := kms.NewFromConfig(cfg)
	key, err := service.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := seal.Generate(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := service.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: text})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "identity.kms")
	if err := os.WriteFile(file, wrapped.CiphertextBlob, 0o600); err != nil {
		t.Fatal(err)
	}
	recipient, err := os.ReadFile(filepath.Join(dir, "recipient.txt"))
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.Keys{Recipients: []string{strings.TrimSpace(string(recipient))}, IdentityFile: file}
	if problems := seal.New(keys).Check(); len(problems) != 1 {
		t.Errorf("without the key service: %v", problems)
	}
	keys.Unwrap = Unwrap("awskms:///" + *key.KeyMetadata.KeyId)
	if problems := seal.New(keys).Check(); len(problems) > 0 {
		t.Errorf("with it: %v", problems)
	}
	if err := roundTrip(seal.New(keys)); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := keys.Unwrap(ctx, wrapped.CiphertextBlob); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a service that is away: %v", err)
	}
}

// roundTrip encrypts and decrypts a word.
func roundTrip(s *seal.Sealer) error {
	var sealed bytes.Buffer
	w, err := s.Encrypt(&sealed)
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("secret")); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	r, err := s.Decrypt(&sealed)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if string(text) != "secret" {
		return fmt.Errorf("read %q: %w", text, err)
	}
	return err
}

func TestValidate(t *testing.T) {
	for url, want := range map[string]string{
		"awskms://alias/etcd?region=eu-central-1":                      "",
		"awskms:///arn:aws:kms:eu-central-1:1:key/x":                   "",
		"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k": "",
		"azurekeyvault://v.vault.azure.net/keys/k":                     "",
		"base64key://smGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4=":     "scheme",
		"awskms://":   "names no key",
		"":            "scheme",
		"awskms://%z": "want a URL",
	} {
		err := Validate(url)
		switch {
		case (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v, want %q", url, err, want)
		case err != nil && strings.Contains(err.Error(), "smGb"):
			t.Errorf("%q: the key is told: %v", url, err)
		}
	}
}
