package discovery

import (
	"context"
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

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/clustertest/process"
)

// TestMain makes the test binary an etcd, as quorate's own is one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// start runs an etcd with these flags until the test ends.
func start(t testing.TB, flags ...string) *os.Process {
	t.Helper()
	return process.Start(t, os.Args[0], append([]string{"etcd", "--data-dir", filepath.Join(t.TempDir(), "data")}, flags...)...)
}

// startRegistry runs an etcd of one, which serves at host:port.
func startRegistry(t testing.TB, flags ...string) (addr string, p *os.Process) {
	t.Helper()
	addr, peer := process.FreeAddr(t), process.FreeAddr(t)
	p = start(t, append([]string{"--listen-client-urls", "http://" + addr, "--advertise-client-urls", "http://" + addr,
		"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer, "--initial-cluster", "default=http://" + peer}, flags...)...)
	return addr, p
}

// client is a plain one, once the server answers.
func client(t testing.TB, cfg clientv3.Config) *clientv3.Client {
	t.Helper()
	cfg.Logger, cfg.DialTimeout = zap.NewNop(), 5*time.Second
	c, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	eventually(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := c.Get(ctx, "k")
		return err
	})
	return c
}

// eventually waits for a condition; its last error says what was missing.
func eventually(t testing.TB, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for err := ok(); err != nil; err = ok() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Millisecond) // between two looks
	}
}

// selfSigned is a certificate for that host that is its own authority.
func selfSigned(t testing.TB, host string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.ParseIP(host)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	raw, err3 := x509.MarshalECPrivateKey(private)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(err, err2, err3,
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

type (
	kv     = mvccpb.KeyValue
	member = etcdserverpb.Member
)
