package tlsfiles

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs leaves; root is the file that a client trusts.
type authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	pem   []byte
	path  string
	chain []byte // that a leaf's file goes on with
}

type leaf struct {
	name  string
	hosts []string
	end   time.Time
	use   x509.ExtKeyUsage // default: for servers
}

type pair struct{ cert, key []byte }

func newCA(t *testing.T, name string) *authority {
	t.Helper()
	a := sign(t, name, nil)
	a.path = filepath.Join(t.TempDir(), name+".pem")
	put(t, a.path, a.pem)
	return a
}

// intermediate is an authority that a signed; its leaves carry it along.
func (a *authority) intermediate(t *testing.T) *authority {
	t.Helper()
	b := sign(t, "intermediate", a)
	b.path, b.chain = a.path, b.pem
	return b
}

func sign(t *testing.T, name string, by *authority) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := template(name, time.Now().Add(24*time.Hour))
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	parent, key := template, a.key
	if by != nil {
		parent, key = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &a.key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = block("CERTIFICATE", der)
	return a
}

func (a *authority) issue(t *testing.T, l leaf) pair {
	t.Helper()
	if l.end.IsZero() {
		l.end = time.Now().Add(time.Hour)
	}
	template := template(l.name, l.end)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if l.use != 0 {
		template.ExtKeyUsage[0] = l.use
	}
	for _, h := range l.hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{append(block("CERTIFICATE", der), a.chain...), block("PRIVATE KEY", private)}
}

// files writes a new leaf, and trusts a.
func (a *authority) files(t *testing.T, l leaf) Files {
	t.Helper()
	dir := t.TempDir()
	f := Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: a.path}
	p := a.issue(t, l)
	put(t, f.Cert, p.cert)
	put(t, f.Key, p.key)
	return f
}

func template(name string, end time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     end,
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// put writes in place, as the rudest of all renewers does.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read1(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
