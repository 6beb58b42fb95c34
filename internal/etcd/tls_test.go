package etcd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/durable"
)

// authority is a certificate authority made for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	der, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	a.cert, a.key = cert, key
	return a
}

// sign makes a certificate; the first signs itself.
func (a *authority) sign(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	must(a.t, err)
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	must(a.t, err)
	return der, key
}

// issue writes a certificate for a host, its key and the authority's
// certificate into dir, over what is there.
func (a *authority) issue(dir, host string) TLSFiles {
	a.t.Helper()
	der, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "member"},
		// Peers check a client's address too, and on loopback that is 127.0.0.1.
		IPAddresses: []net.IP{net.ParseIP(host), net.ParseIP("127.0.0.1")},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	secret, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	files := TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
	must(a.t, errors.Join(
		writePEM(files.Cert, "CERTIFICATE", der),
		writePEM(files.Key, "EC PRIVATE KEY", secret),
		writePEM(files.CA, "CERTIFICATE", a.cert.Raw),
	))
	return files
}

func writePEM(path, kind string, der []byte) error {
	return durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// The same client goes through a renewal of every certificate and a change of
// authority, because it reads its files for each connection.
func TestTLSFilesAreReadAnew(t *testing.T) {
	a := newMember(t, "a", "127.0.0.69")
	a.agent.Close()
	old, files := newAuthority(t), t.TempDir()
	a.cfg.Client = old.issue(files, "127.0.0.69")
	a.cfg.Peer, a.cfg.ClientCertAuth = a.cfg.Client, true
	a.agent = Dial(a.clientURL(), a.cfg.Client, Credentials{})
	defer a.agent.Close()
	a.found()
	wantTLSProbe(t, a)

	// Another authority: the running etcd keeps the old one, a client with the
	// new files is a stranger, and the standing connection serves on.
	next := newAuthority(t)
	next.issue(files, "127.0.0.69")
	must(t, a.agent.Healthy(limit(t)))
	soon, cancel := contextSoon(t)
	defer cancel()
	stranger := Dial(a.clientURL(), a.cfg.Client, Credentials{})
	defer stranger.Close()
	if err := stranger.Healthy(soon); err == nil {
		t.Error("etcd took a certificate of an authority that it does not know")
	}

	a.stop()
	a.start(Start{})
	a.waitHealthy()
	wantTLSProbe(t, a)
	must(t, stranger.Healthy(limit(t)))

	// A key that is half written is an error, not the end of the client.
	key, err := os.ReadFile(a.cfg.Client.Key)
	must(t, err)
	write(t, a.cfg.Client.Key, "half")
	late := Dial(a.clientURL(), a.cfg.Client, Credentials{})
	defer late.Close()
	soon, cancel = contextSoon(t)
	defer cancel()
	if err := late.Healthy(soon); err == nil {
		t.Error("a client without a key is served")
	}
	must(t, durable.WriteFile(a.cfg.Client.Key, key, 0o600))
	eventually(t, "the client has read its key", func() error { return late.Healthy(limit(t)) })
}

func wantTLSProbe(t *testing.T, m *member) {
	t.Helper()
	if port, err := ProbePeerPort(limit(t), m.peerURL(), m.cfg.Peer); err != nil || len(port.Members) != 1 {
		t.Errorf("ProbePeerPort: %+v, %v", port, err)
	}
	if _, err := ProbePeerPort(limit(t), m.peerURL(), TLSFiles{CA: m.cfg.Peer.CA}); err == nil {
		t.Error("the peer port serves a client without a certificate")
	}
}
