package tlsfiles

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/smallfile"
)

// Validate says everything that is wrong with the files as they are now, each
// problem with its setting: prefix ("" or "peer-") and etcd's name.
func (f Files) Validate(prefix string) []error { return f.validate(prefix, time.Now()) }

func (f Files) validate(prefix string, now time.Time) []error {
	var problems []error
	say := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s%s: %w", prefix, key, err))
		}
	}
	if f.Cert != "" && f.Key == "" {
		say("key-file", fmt.Errorf("not given, and %scert-file is", prefix))
	}
	if f.Key != "" && f.Cert == "" {
		say("cert-file", fmt.Errorf("not given, and %skey-file is", prefix))
	}
	if f.ClientCertAuth && f.CA == "" {
		say("client-cert-auth", fmt.Errorf("needs a %strusted-ca-file to check certificates with", prefix))
	}
	cert, certErr := read(f.Cert)
	key, keyErr := read(f.Key)
	if certErr == nil && f.Cert != "" {
		certErr = checkCert(f.Cert, cert, now)
	}
	if keyErr == nil && certErr == nil && f.Cert != "" && f.Key != "" {
		keyErr = checkPair(f, cert, key)
	}
	say("cert-file", certErr)
	say("key-file", keyErr)
	say("trusted-ca-file", checkCA(f.CA, now))
	return problems
}

func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return smallfile.Read(path)
}

func checkCert(path string, pem []byte, now time.Time) error {
	certs, err := certificates(pem)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", path, err)
	}
	for _, cert := range certs { // an expired intermediate breaks the chain as surely
		if err := current(cert, now); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// checkPair keeps what a bad key file holds out of the message.
func checkPair(f Files, cert, key []byte) error {
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("%s and %s are no pair: %w", f.Key, f.Cert, err)
	}
	return nil
}

// checkCA wants one authority that is in force; a bundle may keep old ones.
func checkCA(path string, now time.Time) error {
	pem, err := read(path)
	if err != nil || path == "" {
		return err
	}
	certs, err := certificates(pem)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", path, err)
	}
	var expired []error
	for _, cert := range certs {
		if err := current(cert, now); err != nil {
			expired = append(expired, err)
		}
	}
	if len(expired) == len(certs) {
		return fmt.Errorf("%s: %w", path, errors.Join(expired...))
	}
	return nil
}
