// Package tlsfiles is TLS by files, with etcd's own names for them. The files
// are looked at before each handshake, so a renewed certificate or a changed
// authority counts from the next connection on, without a restart. Whatever is
// unreadable or half written then leaves the last good one in force.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Files names PEM files. The zero value is plain text.
type Files struct {
	Cert string // our certificate, then its intermediates
	Key  string // of Cert
	CA   string // signs the other side's certificates; empty: the system's roots
	// ClientCertAuth makes a server demand a certificate that CA has signed.
	ClientCertAuth bool
	// ServerName is the host name or IP address that a client expects in the
	// server's certificate; empty: the name that it dialled.
	ServerName string
}

// Empty says that there is no TLS.
func (f Files) Empty() bool {
	return f.Cert == "" && f.Key == "" && f.CA == "" && !f.ClientCertAuth
}

// Server is for a listener, which may outlive any of the files. Until a pair
// has been read once, handshakes fail.
//
// Sessions are never resumed: a resumed one would skip the authority that is
// in force now.
func (f Files) Server() *tls.Config {
	w := newWatch(f)
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             protocols(),
		SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return w.server()
		},
	}
}

func (w *watch) server() (*tls.Config, error) {
	pair, err := w.pair.load()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             protocols(),
		SessionTicketsDisabled: true,
		Certificates:           []tls.Certificate{*pair},
	}
	if !w.files.ClientCertAuth {
		return cfg, nil
	}
	if w.files.CA == "" { // the system's roots would let in anybody with a public certificate
		return nil, errors.New("demanding client certificates without an authority")
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs, err = w.roots.load()
	return cfg, err
}

func protocols() []string { return []string{"h2", "http/1.1"} }

// Client is for a dialler that outlives any of the files.
//
// An authority that changes cannot be a fixed RootCAs, so with CA set the
// standard verification is replaced by the same one against the authority of
// the moment. crypto/tls does not tell it the host when that is an IP address
// (an address is no SNI): such a handshake fails unless ServerName is set.
// HTTPClient sets it by itself.
func (f Files) Client() *tls.Config { return newWatch(f).client(f.ServerName) }

func (w *watch) client(host string) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if w.files.Cert != "" {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return w.pair.load()
		}
	}
	if w.files.CA != "" {
		cfg.InsecureSkipVerify = true // VerifyConnection does it all
		cfg.VerifyConnection = func(cs tls.ConnectionState) error { return w.verify(cs, host) }
	}
	return cfg
}

// verify is what crypto/tls does for a client, against the roots of now.
func (w *watch) verify(cs tls.ConnectionState, host string) error {
	if host == "" {
		host = cs.ServerName
	}
	if host == "" {
		return errors.New("verifying the server: no host name to expect; dialling an IP address needs a server name")
	}
	if len(cs.PeerCertificates) == 0 {
		return errors.New("verifying the server: it shows no certificate")
	}
	roots, err := w.roots.load()
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, cert := range cs.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err = cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName:       host, // host names and IP addresses alike
		Roots:         roots,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

// HTTPClient reaches http URLs and, by these files, https ones: by host name
// or IP address. Each request has timeout for everything, body included; zero
// is no limit. It uses no proxy, for it speaks to neighbours.
func (f Files) HTTPClient(timeout time.Duration) *http.Client {
	w := newWatch(f)
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: timeout,
		IdleConnTimeout:     30 * time.Second, // a renewed certificate is soon the only one in use
		MaxIdleConnsPerHost: 4,
	}
	transport.DialTLSContext = w.dialTLS(dialer, timeout)
	return &http.Client{Timeout: timeout, Transport: transport}
}

// pairFrom parses a certificate and its key; a chain that breaks off in its
// middle is an error, where crypto/tls would take the part that it has.
func pairFrom(cert, key []byte) (*tls.Certificate, error) {
	if _, err := certificates(cert); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

func poolFrom(pem []byte) (*x509.CertPool, error) {
	certs, err := certificates(pem)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool, nil
}

func current(cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("expired on %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
