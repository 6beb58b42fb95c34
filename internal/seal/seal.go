package seal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
)

// The errors that someone branches on.
var (
	// ErrNoIdentity says that bytes are encrypted and that no key here opens
	// them: the reader's fault, not the bytes'.
	ErrNoIdentity = errors.New("encrypted, and no identity here opens it")
	// ErrUnsigned says that a signature is demanded and there is none.
	ErrUnsigned = errors.New("not signed")
	// ErrForged says that there is a signature and that no trusted key made it
	// for these bytes.
	ErrForged = errors.New("the signature is not by a trusted key")
)

// Keys name the keys. The zero value names none.
type Keys struct {
	// Recipients are age's public keys, "age1…". What is written is readable by
	// each of them; with none it is plain text.
	Recipients []string
	// IdentityFile holds the secret counterparts, for reading. Empty: nothing
	// encrypted can be read.
	IdentityFile string
	// SignKeyFile signs what is written. Empty: nothing is signed.
	SignKeyFile string
	// VerifyKeyFiles are trusted beside the signing key itself. With neither,
	// signatures are not looked at.
	VerifyKeyFiles []string
	// AllowUnsigned accepts what nobody has signed. A wrong signature is
	// refused all the same.
	AllowUnsigned bool
	// Unwrap, if set, decrypts the identity file's bytes: a key service.
	Unwrap func(context.Context, []byte) ([]byte, error)
}

// Empty says that no key is named.
func (k Keys) Empty() bool {
	return len(k.Recipients)+len(k.VerifyKeyFiles) == 0 && k.IdentityFile == "" && k.SignKeyFile == ""
}

// Sealer seals and opens with the keys that its files hold at that moment. It
// is safe for concurrent use. Its nil value is plain text, unsigned.
type Sealer struct{ keys Keys }

// New makes a Sealer; nil when no key is named. It reads no file: Check does.
func New(k Keys) *Sealer {
	if k.Empty() {
		return nil
	}
	return &Sealer{keys: k}
}

// Encrypts says that what is written is encrypted.
func (s *Sealer) Encrypts() bool { return s != nil && len(s.keys.Recipients) > 0 }

// Signs says that what is written is signed.
func (s *Sealer) Signs() bool { return s != nil && s.keys.SignKeyFile != "" }

// Demands says that what nobody has signed is refused.
func (s *Sealer) Demands() bool {
	return s != nil && !s.keys.AllowUnsigned && (s.Signs() || len(s.keys.VerifyKeyFiles) > 0)
}

// Check reads every key and says all that is wrong with them, each error
// beginning with the setting's name: "backup-recipient: …". Where there are
// recipients and identities, one must open what the others encrypt for; behind a
// key service nobody looks.
func (s *Sealer) Check() (problems []error) {
	if s == nil {
		return nil
	}
	say := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
	}
	recipients, err := s.recipients()
	say("backup-recipient", err)
	identities, err := s.checkIdentities()
	say("backup-identity-file", err)
	if len(recipients) > 0 && len(identities) > 0 && !opens(identities, recipients) {
		say("backup-identity-file", fmt.Errorf("%s: opens nothing that is encrypted for backup-recipient: its own recipient must be one of them", s.keys.IdentityFile))
	}
	if s.Signs() {
		_, err = signKey(s.keys.SignKeyFile)
		say("backup-sign-key-file", err)
	}
	for _, name := range s.keys.VerifyKeyFiles {
		_, err := verifyKeys(name)
		say("backup-verify-key-file", err)
	}
	return problems
}

// checkIdentities asks no key service: it may be away for a while.
func (s *Sealer) checkIdentities() ([]age.Identity, error) {
	if s.keys.Unwrap == nil || s.keys.IdentityFile == "" {
		return s.identities(context.Background())
	}
	_, err := readKeys(s.keys.IdentityFile)
	return nil, err
}

// readKeys reads a small file of keys.
func readKeys(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case isSecret(name):
		return nil, errors.New("is a secret key: want the path of the file that holds it, and a new key, because this one has been seen")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, fmt.Errorf("%s: want a file of keys, at most %d KiB", name, maxKeyFile>>10)
	}
	return os.ReadFile(name)
}

// isSecret says that a setting holds a key that must be in no error.
func isSecret(text string) bool { return strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY-") }

const maxKeyFile = 64 << 10

func (s *Sealer) recipients() ([]age.Recipient, error) {
	var all []age.Recipient
	for _, text := range s.keys.Recipients {
		// ParseRecipients would skip a comment; a setting is one recipient.
		found, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(found) != 1 || strings.ContainsAny(text, "#\n") {
			if isSecret(text) {
				return nil, errors.New("is a secret key: want its public recipient, age1…, and a new key, because this one has been seen")
			}
			return nil, fmt.Errorf("%q: want an age recipient, age1…", text)
		}
		all = append(all, found...)
	}
	return all, nil
}

// trusted are the keys whose signatures count; none when none are named.
func (s *Sealer) trusted() ([]ed25519.PublicKey, error) {
	var all []ed25519.PublicKey
	if s.Signs() {
		key, err := signKey(s.keys.SignKeyFile)
		if err != nil {
			return nil, err
		}
		all = append(all, key.Public().(ed25519.PublicKey))
	}
	for _, name := range s.keys.VerifyKeyFiles {
		keys, err := verifyKeys(name)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}
