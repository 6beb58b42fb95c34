package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serve answers over TLS with these files and gives its port.
func serve(t *testing.T, f Files) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what these tests want
	s.Listener = tls.NewListener(s.Listener, f.Server())
	s.Start()
	t.Cleanup(s.Close)
	return strconv.Itoa(s.Listener.Addr().(*net.TCPAddr).Port)
}

// get asks over a new connection: what the server saw, and whose certificate
// the client saw.
func get(client *http.Client, host, port string) (saw, server string, err error) {
	defer client.CloseIdleConnections()
	r, err := client.Get("https://" + net.JoinHostPort(host, port))
	if err != nil {
		return "", "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), r.TLS.PeerCertificates[0].Subject.CommonName, err
}

func TestClientVerifies(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	port := serve(t, ca.files(t, leaf{name: "s", hosts: []string{"localhost", "127.0.0.1"}}))
	expired := serve(t, ca.files(t, leaf{name: "old", hosts: []string{"127.0.0.1"}, end: time.Now().Add(-time.Hour)}))
	clientOnly := serve(t, ca.files(t, leaf{name: "c", hosts: []string{"127.0.0.1"}, use: x509.ExtKeyUsageClientAuth}))
	elsewhere := serve(t, ca.files(t, leaf{name: "s", hosts: []string{"example.org", "127.0.0.2"}}))
	chain := serve(t, ca.intermediate(t).files(t, leaf{name: "deep", hosts: []string{"127.0.0.1"}}))

	var wrongHost x509.HostnameError
	var wrongCA x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	for _, c := range []struct {
		say, host, port string
		files           Files
		want            any
	}{
		{"by name", "localhost", port, Files{CA: ca.path}, nil},
		{"by address", "127.0.0.1", port, Files{CA: ca.path}, nil},
		{"over an intermediate", "127.0.0.1", chain, Files{CA: ca.path}, nil},
		{"expecting a name", "127.0.0.1", port, Files{CA: ca.path, ServerName: "localhost"}, nil},
		{"expecting another name", "127.0.0.1", port, Files{CA: ca.path, ServerName: "other"}, &wrongHost},
		{"expecting another address", "127.0.0.1", port, Files{CA: ca.path, ServerName: "127.0.0.2"}, &wrongHost},
		{"at another address", "127.0.0.1", elsewhere, Files{CA: ca.path}, &wrongHost},
		{"at another name", "localhost", elsewhere, Files{CA: ca.path}, &wrongHost},
		{"another authority", "localhost", port, Files{CA: other.path}, &wrongCA},
		{"the system's authorities", "localhost", port, Files{}, &wrongCA},
		{"expired", "127.0.0.1", expired, Files{CA: ca.path}, &invalid},
		{"not for servers", "127.0.0.1", clientOnly, Files{CA: ca.path}, &invalid},
	} {
		check := func(how string, err error) {
			if ok := (err == nil) == (c.want == nil) && (c.want == nil || errors.As(err, c.want)); !ok {
				t.Errorf("%s, %s: %v", c.say, how, err)
			}
		}
		_, _, err := get(c.files.HTTPClient(time.Minute), c.host, c.port)
		check("HTTP", err)
		if c.host == "localhost" || c.files.ServerName != "" {
			conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", c.port), named(c.files, c.host).Client())
			if err == nil {
				_ = conn.Close()
			}
			check("config", err)
		}
	}
}

func named(f Files, host string) Files {
	if f.ServerName == "" {
		f.ServerName = host
	}
	return f
}

// Without a name, an address cannot be verified: that must not mean trusted.
func TestClientRefusesAnAddressThatItCannotVerify(t *testing.T) {
	ca := newCA(t, "ca")
	port := serve(t, ca.files(t, leaf{name: "s", hosts: []string{"127.0.0.1", "localhost"}}))
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, Files{CA: ca.path}.Client())
	if err == nil || !strings.Contains(err.Error(), "server name") {
		t.Errorf("%v %v", conn, err)
	}
	conn, err = tls.Dial("tcp", "localhost:"+port, Files{CA: ca.path}.Client()) // crypto/tls tells a name
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestServerDemandsCertificates(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	files := ca.files(t, leaf{name: "s", hosts: []string{"127.0.0.1"}})
	files.ClientCertAuth = true
	port := serve(t, files)
	mine := ca.files(t, leaf{name: "me", use: x509.ExtKeyUsageClientAuth})
	if saw, _, err := get(mine.HTTPClient(time.Minute), "127.0.0.1", port); saw != "me" || err != nil {
		t.Errorf("%q, %v", saw, err)
	}
	stranger := other.files(t, leaf{name: "you", use: x509.ExtKeyUsageClientAuth})
	stranger.CA = ca.path
	late := ca.files(t, leaf{name: "late", use: x509.ExtKeyUsageClientAuth, end: time.Now().Add(-time.Hour)})
	for say, f := range map[string]Files{"none": {CA: ca.path}, "a stranger's": stranger, "an expired one": late} {
		if saw, _, err := get(f.HTTPClient(time.Minute), "127.0.0.1", port); err == nil {
			t.Errorf("%s is let in as %q", say, saw)
		}
	}
	files.CA = "" // Validate refuses this; so does each handshake
	if _, _, err := get(mine.HTTPClient(time.Minute), "127.0.0.1", serve(t, files)); err == nil {
		t.Error("certificates of any authority in the world are let in")
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	ca := newCA(t, "ca")
	port := serve(t, ca.files(t, leaf{name: "s", hosts: []string{"localhost"}}))
	cfg := Files{CA: ca.path, ServerName: "localhost"}.Client()
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", "127.0.0.1:"+port, cfg); err == nil {
		t.Error(conn.ConnectionState().Version)
	}
}

// Leaf and authority change on disk under a live server and live clients.
func TestRotation(t *testing.T) {
	ca := newCA(t, "ca")
	files := ca.files(t, leaf{name: "one", hosts: []string{"127.0.0.1"}})
	files.ClientCertAuth = true
	port := serve(t, files)
	clientFiles := ca.files(t, leaf{name: "me", use: x509.ExtKeyUsageClientAuth})
	client := clientFiles.HTTPClient(time.Minute)
	expect := func(step, wantSaw, wantServer string) {
		t.Helper()
		saw, server, err := get(client, "127.0.0.1", port)
		if saw != wantSaw || server != wantServer || err != nil {
			t.Fatalf("%s: %q %q %v", step, saw, server, err)
		}
	}
	expect("first", "me", "one")

	two := ca.issue(t, leaf{name: "two", hosts: []string{"127.0.0.1"}})
	put(t, files.Cert, two.cert) // the key is still the old one
	expect("a pair that is none", "me", "one")
	put(t, files.Key, two.key[:len(two.key)/2])
	expect("half a key", "me", "one")
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	expect("no key", "me", "one")
	put(t, files.Key, two.key)
	expect("the new pair", "me", "two")
	put(t, files.Cert, append(bytes.Clone(two.cert), two.cert[:len(two.cert)/2]...))
	put(t, files.Key, two.key)
	expect("a chain that breaks off", "me", "two")
	put(t, files.Cert, two.cert)

	again := ca.issue(t, leaf{name: "me2", use: x509.ExtKeyUsageClientAuth})
	put(t, clientFiles.Cert, again.cert)
	put(t, clientFiles.Key, again.key)
	expect("the client's new pair", "me2", "two")

	// A new authority: first both trust both, then the leaves, then the old one goes.
	next := newCA(t, "next")
	old := read1(t, ca.path)
	put(t, ca.path, append(bytes.Clone(old), next.pem...))
	three := next.issue(t, leaf{name: "three", hosts: []string{"127.0.0.1"}})
	put(t, files.Cert, three.cert)
	put(t, files.Key, three.key)
	expect("the next authority's leaf", "me2", "three")
	put(t, ca.path, next.pem[:len(next.pem)/2])
	expect("half an authority", "me2", "three")
	put(t, ca.path, next.pem)
	if saw, _, err := get(client, "127.0.0.1", port); err == nil {
		t.Errorf("a client of the old authority is let in as %q", saw)
	}
	last := next.issue(t, leaf{name: "me3", use: x509.ExtKeyUsageClientAuth})
	put(t, clientFiles.Cert, last.cert)
	put(t, clientFiles.Key, last.key)
	expect("all new", "me3", "three")
}

func TestSettledFilesAreReadOnce(t *testing.T) {
	ca := newCA(t, "ca")
	f := ca.files(t, leaf{name: "s"})
	w := newWatch(f)
	long := time.Now().Add(-time.Hour)
	for _, path := range []string{f.Cert, f.Key} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := w.pair.load(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.roots.load(); err != nil { // fresh: its stat vouches for nothing
			t.Fatal(err)
		}
	}
	if w.pair.reread != 1 || w.roots.reread != 3 {
		t.Errorf("pair read %d times, roots %d", w.pair.reread, w.roots.reread)
	}
	two := ca.issue(t, leaf{name: "s2"})
	put(t, f.Cert, two.cert)
	put(t, f.Key, two.key)
	if pair, err := w.pair.load(); err != nil || pair.Leaf.Subject.CommonName != "s2" {
		t.Error(pair, err)
	}
}

func TestNothingGoodYet(t *testing.T) {
	dir := t.TempDir()
	w := newWatch(Files{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), CA: filepath.Join(dir, "ca")})
	if pair, err := w.pair.load(); err == nil || pair != nil {
		t.Error(pair, err)
	}
	if pool, err := w.roots.load(); err == nil || pool != nil {
		t.Error("a missing authority must not become the system's")
	}
}

func TestPlainHTTP(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	r, err := Files{}.HTTPClient(time.Minute).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
}

func TestHTTPClientHasATimeLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Files{CA: newCA(t, "ca").path}.HTTPClient(50 * time.Millisecond).Get("https://" + l.Addr().String())
	var slow interface{ Timeout() bool }
	if !errors.As(err, &slow) || !slow.Timeout() {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	ca, now := newCA(t, "ca"), time.Now()
	f := ca.files(t, leaf{name: "s"})
	junk := filepath.Join(t.TempDir(), "junk")
	put(t, junk, []byte("junk"))
	cut := filepath.Join(t.TempDir(), "cut")
	put(t, cut, ca.pem[:len(ca.pem)/2])
	for _, c := range []struct {
		say   string
		files Files
		at    time.Time
		want  []string
	}{
		{"nothing", Files{}, now, nil},
		{"all", Files{Cert: f.Cert, Key: f.Key, CA: f.CA, ClientCertAuth: true}, now, nil},
		{"an authority alone", Files{CA: f.CA}, now, nil},
		{"cert without key", Files{Cert: f.Cert}, now, []string{"peer-key-file: not given"}},
		{"key without cert", Files{Key: f.Key}, now, []string{"peer-cert-file: not given"}},
		{"auth without authority", Files{Cert: f.Cert, Key: f.Key, ClientCertAuth: true}, now, []string{"peer-client-cert-auth: needs a peer-trusted-ca-file"}},
		{"unreadable", Files{Cert: "/no/c", Key: "/no/k", CA: "/no/ca"}, now, []string{"peer-cert-file: open", "peer-key-file: open", "peer-trusted-ca-file: open"}},
		{"no pair", Files{Cert: f.Cert, Key: ca.files(t, leaf{name: "x"}).Key}, now, []string{"peer-key-file: "}},
		{"junk", Files{Cert: junk, Key: junk, CA: junk}, now, []string{"peer-cert-file: parsing", "peer-trusted-ca-file: parsing"}},
		{"a junk key", Files{Cert: f.Cert, Key: junk}, now, []string{"peer-key-file: "}},
		{"half an authority", Files{CA: cut}, now, []string{"peer-trusted-ca-file: parsing"}},
		{"too late", f, now.AddDate(1, 0, 0), []string{"peer-cert-file: " + f.Cert + ": expired on", "peer-trusted-ca-file: " + f.CA + ": expired on"}},
		{"too early", f, now.AddDate(-1, 0, 0), []string{"peer-cert-file: " + f.Cert + ": not valid before", "peer-trusted-ca-file: "}},
	} {
		got := c.files.validate("peer-", c.at)
		ok := len(got) == len(c.want)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i].Error(), c.want[i])
		}
		if !ok {
			t.Errorf("%s: got %q, want %q", c.say, got, c.want)
		}
	}
	if got := f.Validate(""); len(got) > 0 || f.Empty() || !(Files{ServerName: "x"}).Empty() {
		t.Error(got)
	}
}

// The inner configuration replaces the outer one, protocols included.
func TestHTTP2IsOffered(t *testing.T) {
	ca := newCA(t, "ca")
	files := ca.files(t, leaf{name: "s", hosts: []string{"localhost"}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{TLSConfig: files.Server(), Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, "", "") }()
	transport := &http.Transport{TLSClientConfig: Files{CA: ca.path, ServerName: "localhost"}.Client(), ForceAttemptHTTP2: true}
	r, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.ProtoMajor != 2 {
		t.Error(r.Proto)
	}
	transport.CloseIdleConnections()
	_ = s.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
