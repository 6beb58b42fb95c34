package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
)

// Sign returns the ed25519 signature of the message, 64 bytes; nil when no
// signing key is named. A message names its own kind first ("quorate segment
// v1\n…"), so that no signature counts for something of another kind.
func (s *Sealer) Sign(message []byte) ([]byte, error) {
	if !s.Signs() {
		return nil, nil
	}
	key, err := signKey(s.keys.SignKeyFile)
	if err != nil {
		return nil, fmt.Errorf("signing: backup-sign-key-file: %w", err)
	}
	return ed25519.Sign(key, message), nil
}

// Verify says that a trusted key has signed the message. An empty signature is
// none: ErrUnsigned where one is demanded. A wrong one is ErrForged, whatever
// is allowed. Where no key is named everything passes. Any other error is about
// the key files and says nothing of the message.
func (s *Sealer) Verify(message, signature []byte) error {
	if s == nil || !s.Signs() && len(s.keys.VerifyKeyFiles) == 0 {
		return nil
	}
	if len(signature) == 0 {
		if s.keys.AllowUnsigned {
			return nil
		}
		return ErrUnsigned
	}
	trusted, err := s.trusted()
	if err != nil {
		return fmt.Errorf("verifying: reading the trusted keys: %w", err)
	}
	signedBy := func(key ed25519.PublicKey) bool {
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(key, message, signature)
	}
	if !slices.ContainsFunc(trusted, signedBy) {
		return ErrForged
	}
	return nil
}

// Signer is a short name of the signing key, for people: the first 8 bytes of
// its public half's SHA-256, in hex. It is empty when nothing is signed.
func (s *Sealer) Signer() (string, error) {
	if !s.Signs() {
		return "", nil
	}
	key, err := signKey(s.keys.SignKeyFile)
	if err != nil {
		return "", fmt.Errorf("naming the signing key: backup-sign-key-file: %w", err)
	}
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return hex.EncodeToString(sum[:8]), nil
}

func signKey(name string) (ed25519.PrivateKey, error) {
	text, err := readKeys(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: want a PEM PRIVATE KEY, as of openssl genpkey -algorithm ed25519", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: want an ed25519 key, as of openssl genpkey -algorithm ed25519", name)
	}
	return private, nil
}

func verifyKeys(name string) ([]ed25519.PublicKey, error) {
	text, err := readKeys(name)
	if err != nil {
		return nil, err
	}
	var all []ed25519.PublicKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := key.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s: holds a PEM %s: want ed25519 PUBLIC KEYs alone, as of openssl pkey -pubout", name, block.Type)
		}
		all = append(all, public)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: want PEM PUBLIC KEYs, as of openssl pkey -pubout", name)
	}
	return all, nil
}
