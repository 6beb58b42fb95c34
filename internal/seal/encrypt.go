package seal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
)

// unwrapLimit bounds what the key service may take.
const unwrapLimit = 20 * time.Second

// intro is how every age file begins.
const intro = "age-encryption.org/"

// Encrypt returns a writer whose plain text goes into w encrypted. Its Close
// ends the message, without which it does not open, and leaves w open. With no
// recipients it passes the bytes on as they are.
func (s *Sealer) Encrypt(w io.Writer) (io.WriteCloser, error) {
	if !s.Encrypts() {
		return plain{w}, nil
	}
	to, err := s.recipients()
	if err != nil {
		return nil, fmt.Errorf("encrypting: backup-recipient: %w", err)
	}
	out, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return out, nil
}

type plain struct{ io.Writer }

// Close has nothing to end.
func (plain) Close() error { return nil }

// Decrypt returns a reader of the plain text of r. What is not encrypted passes
// as it is: whether that is right is for signatures to say. Bytes that were cut
// or changed are an error of the reader and never a quiet end. ErrNoIdentity
// says that no key here opens it; an error of r itself is returned as it is.
func (s *Sealer) Decrypt(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	start, err := in.Peek(len(intro))
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case string(start) != intro:
		return in, nil
	case s == nil || s.keys.IdentityFile == "":
		return nil, fmt.Errorf("%w: set backup-identity-file", ErrNoIdentity)
	}
	identities, err := s.identities(context.Background())
	if err != nil {
		return nil, fmt.Errorf("%w: backup-identity-file: %w", ErrNoIdentity, err)
	}
	out, err := age.Decrypt(in, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fmt.Errorf("%w: backup-identity-file %s holds another's", ErrNoIdentity, s.keys.IdentityFile)
	case err != nil:
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	return out, nil
}

// identities are read anew each time. Their bytes are in no error.
func (s *Sealer) identities(ctx context.Context) ([]age.Identity, error) {
	if s.keys.IdentityFile == "" {
		return nil, nil
	}
	text, err := readKeys(s.keys.IdentityFile)
	if err != nil {
		return nil, err
	}
	if s.keys.Unwrap != nil {
		ctx, cancel := context.WithTimeout(ctx, unwrapLimit)
		defer cancel()
		if text, err = s.keys.Unwrap(ctx, text); err != nil {
			return nil, fmt.Errorf("unwrapping %s: %w", s.keys.IdentityFile, err)
		}
	}
	all, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil || len(all) == 0 { // age's own error may quote the line
		return nil, fmt.Errorf("%s: want age identities, AGE-SECRET-KEY-1…, one a line", s.keys.IdentityFile)
	}
	return all, nil
}

// opens tries it out: no list of recipients names its identities.
func opens(identities []age.Identity, recipients []age.Recipient) bool {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err != nil || w.Close() != nil {
		return false
	}
	_, err = age.Decrypt(&sealed, identities...)
	return err == nil
}
