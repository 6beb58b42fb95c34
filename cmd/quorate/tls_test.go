package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/control"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(template, "ca")
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// issue writes NAME.pem and NAME-key.pem, for these addresses, as server and client.
func (a *authority) issue(name string, serial int64, hosts ...string) {
	a.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, h := range hosts {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(h))
	}
	a.sign(template, name)
}

func (a *authority) sign(template *x509.Certificate, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	must(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	a.write(name+"-key", "EC PRIVATE KEY", private)
	a.write(name, "CERTIFICATE", der)
	cert, err := x509.ParseCertificate(der)
	must(a.t, err)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	tmp := a.file(name) + ".tmp"
	must(a.t, os.WriteFile(tmp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	must(a.t, os.Rename(tmp, a.file(name)))
}

// client trusts the authority and shows a certificate.
func (a *authority) client(name string) *tls.Config {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.file(name), a.file(name+"-key"))
	must(a.t, err)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
}

// serial is that of the certificate which a port shows.
func (a *authority) serial(name, addr string) (int64, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}, "tcp", addr, a.client(name))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// TestTLS: every port is encrypted and demands a certificate, quorate's own
// connections included; files that are swapped count without a restart.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	r := newRig(t)
	a, b, c := r.trio()
	const source = "127.0.0.1" // etcd holds a peer's certificate against where it comes from
	ca.issue("server", 10, a.addr, b.addr, c.addr)
	ca.issue("peer", 20, a.addr, b.addr, c.addr, source)
	ca.issue("admin", 30)
	r.flags = append(r.flags, "--cert-file", ca.file("server"), "--key-file", ca.file("server-key"), "--trusted-ca-file", ca.file("ca"), "--client-cert-auth",
		"--peer-cert-file", ca.file("peer"), "--peer-key-file", ca.file("peer-key"), "--peer-trusted-ca-file", ca.file("ca"), "--peer-client-cert-auth")
	startAll(a, b, c)
	admin := []string{"--cert-file", ca.file("admin"), "--key-file", ca.file("admin-key"), "--trusted-ca-file", ca.file("ca")}
	healthy := func(h *host) error {
		out, errOut, code := r.quorate(append([]string{"status", h.agentFlag(), "-o", "json"}, admin...)...)
		if code != 0 {
			return fmt.Errorf("exit code %d: %s", code, errOut)
		}
		if s := parsed[control.Status](t, out); s.Voters != 3 || s.Healthy != 3 {
			return fmt.Errorf("%d of %d voters are healthy", s.Healthy, s.Voters)
		}
		return nil
	}
	for _, h := range []*host{a, b, c} {
		r.eventually(30*time.Second, h.name+" says healthy", func() error { return healthy(h) })
		h.refusesPlain(ca)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + a.addr + ":2379"}, TLS: ca.client("admin"), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(t, err)
	defer etcd.Close()
	r.put(etcd, "secret", "1")

	pids := []int{a.etcdPID(), b.etcdPID(), c.etcdPID()}
	ca.issue("server", 11, a.addr, b.addr, c.addr)
	ca.issue("peer", 21, a.addr, b.addr, c.addr, source)
	for _, port := range []struct {
		number int
		want   int64
	}{{2378, 11}, {2379, 11}, {2380, 21}} {
		r.eventually(20*time.Second, fmt.Sprintf("the new certificate on port %d", port.number), func() error {
			got, err := ca.serial("admin", fmt.Sprintf("%s:%d", b.addr, port.number))
			if err == nil && got != port.want {
				err = fmt.Errorf("serial %d, want %d", got, port.want)
			}
			return err
		})
	}
	// A member that starts anew must be let in by those that never stopped.
	b.killEtcd()
	r.eventually(30*time.Second, "etcd of b is another one", func() error {
		if pid := b.etcdPID(); pid == 0 || pid == pids[1] {
			return fmt.Errorf("pid %d", pid)
		}
		return healthy(a)
	})
	if a.etcdPID() != pids[0] || c.etcdPID() != pids[2] {
		t.Error("an etcd was restarted for a new certificate")
	}
	r.put(etcd, "secret", "2")
}

// refusesPlain wants that no port serves plain text, nor a client without a
// certificate.
func (h *host) refusesPlain(ca *authority) {
	h.r.t.Helper()
	anonymous := ca.client("admin")
	anonymous.Certificates = nil
	for port, path := range map[int]string{2378: "/v1/report", 2379: "/version", 2380: "/version"} {
		for scheme, client := range map[string]*http.Client{
			"http":  {Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
			"https": {Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anonymous}},
		} {
			resp, err := client.Get(fmt.Sprintf("%s://%s:%d%s", scheme, h.addr, port, path))
			if err != nil {
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK || strings.Contains(string(body), "etcd") && !strings.Contains(string(body), "HTTPS") {
				h.r.t.Errorf("port %d answers %s: %s", port, scheme, body)
			}
		}
	}
}
