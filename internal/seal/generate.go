package seal

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// Generate writes a new pair of each kind into a directory, none over a file
// that is there: identity.txt and sign.pem (0600), recipient.txt and verify.pem.
func Generate(dir string) error {
	files, err := newKeys()
	if err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	for _, f := range files {
		if err := f.write(dir); err != nil {
			return fmt.Errorf("making keys: %w", err)
		}
	}
	return nil
}

// keyFile is one file to write; secret ones are for their owner alone.
type keyFile struct {
	name string
	mode fs.FileMode
	text []byte
}

// newKeys makes both pairs in memory: nothing is written of half a set.
func newKeys() ([]keyFile, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return []keyFile{
		{"identity.txt", 0o600, []byte(identity.String() + "\n")},
		{"sign.pem", 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})},
		{"recipient.txt", 0o644, []byte(identity.Recipient().String() + "\n")},
		{"verify.pem", 0o644, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})},
	}, nil
}

// write creates the file; one that is there stays as it is.
func (k keyFile) write(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, k.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, k.mode)
	if err != nil {
		return err
	}
	_, err = f.Write(k.text)
	return errors.Join(err, f.Sync(), f.Close())
}
