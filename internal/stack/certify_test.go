package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/clustertest/pyvenv"
)

// authority is a certificate authority as an operator makes one, in PEM.
func authority(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour * 24 * 365),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// A machine's certificate, made by the script of the boot with the real AWS
// command line, moto's parameter store and a metadata service.
func TestCertify(t *testing.T) {
	apt.Need(t, "/usr/bin/openssl", "openssl")
	apt.Need(t, "/usr/bin/curl", "curl")
	bin, err := pyvenv.Install(t.Context(), "awscli")
	if err != nil {
		t.Fatal(err)
	}
	moto.Start(t)
	os.Unsetenv("AWS_PROFILE") // an empty one is the SDK's none, but the command line's unknown one
	cert, key := authority(t)
	env := []string{"AWS_DEFAULT_REGION=us-east-1", "PATH=" + bin + ":" + os.Getenv("PATH")}
	for name, value := range map[string][]byte{"ca.crt": cert, "ca.key": key} {
		if out, err := run(t, env, "aws", "ssm", "put-parameter", "--type", "SecureString", "--name", "/etcd/prod/"+name, "--value="+string(value)); err != nil {
			t.Fatalf("putting %s: %v: %s", name, err, out)
		}
	}
	imds := awstest.Serve(t, awstest.Instance{ID: "i-0123456789abcdef0", PrivateIPv4: "10.73.0.10", PublicIPv4: "203.0.113.10"})
	dir := t.TempDir()
	conf := filepath.Join(dir, "setup.conf")
	if err := os.WriteFile(conf, []byte("TLS_PATH='/etcd/prod'\nTLS_NAMES='lb.example.org *.prod.example.org'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "tls")
	owner, err := run(t, nil, "id", "-un")
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "SETUP_CONF="+conf, "TLS_DIR="+out, "TLS_OWNER="+owner[:len(owner)-1], "AWS_EC2_METADATA_SERVICE_ENDPOINT="+imds.URL())
	certify := func() *x509.Certificate {
		t.Helper()
		if said, err := run(t, env, "bash", "boot/certify.sh"); err != nil {
			t.Fatalf("certify: %v: %s", err, said)
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(out, "node.crt"), filepath.Join(out, "node.key"))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf
	}
	first := certify()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		for _, name := range []string{"10.73.0.10", "203.0.113.10", "127.0.0.1", "localhost", "lb.example.org", "m1.prod.example.org"} {
			if _, err := first.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("as %s: %v", name, err)
			}
		}
	}
	if first.IsCA || slices.ContainsFunc(first.IPAddresses, net.IP.IsUnspecified) {
		t.Errorf("certificate %+v", first)
	}
	second := certify()
	if first.SerialNumber.Cmp(second.SerialNumber) == 0 || !first.PublicKey.(*ecdsa.PublicKey).Equal(second.PublicKey) {
		t.Error("renewing wants a new certificate for the key that there is: files change one at a time")
	}
	files, _ := os.ReadDir(out)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "ca.key" || f.IsDir() || info.Mode().Perm() != 0o600 {
			t.Errorf("left behind: %s %v", f.Name(), info.Mode())
		}
	}
	if len(files) != 3 {
		t.Errorf("%d files, want ca.crt, node.crt, node.key", len(files))
	}
}
