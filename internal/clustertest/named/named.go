// Package named runs BIND, a name server that no one here wrote, for tests
// that look names up and change them: UDP and TCP, dynamic update with TSIG
// (RFC 2136), zone transfer.
package named

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/process"
)

// Server is a running name server.
type Server struct {
	Addr string // host:port, for UDP and TCP alike
	// The TSIG key that may change every zone; anyone on loopback may read and
	// transfer them.
	KeyName      string // with its last dot
	KeySecret    string // base64
	KeyAlgorithm string // as miekg/dns names it: "hmac-sha256."

	cmd *exec.Cmd
}

// Start runs a server on a free port of 127.0.0.1 until the test ends. It is
// the primary of these zones ("example.org"), each with only an SOA, whose
// negative TTL is 1 s, an NS and the address of that. BIND is installed first
// where it is missing, which needs root.
func Start(t testing.TB, zones ...string) *Server {
	t.Helper()
	return StartAt(t, free(t), zones...)
}

// StartAt is Start at a given host:port, as 127.0.0.1:53. BIND serves only
// addresses that an interface has: not all of 127.0.0.0/8.
func StartAt(t testing.TB, addr string, zones ...string) *Server {
	t.Helper()
	var conf strings.Builder
	dir := t.TempDir()
	for _, zone := range zones {
		file := filepath.Join(dir, zone+".zone")
		write(t, file, fmt.Sprintf(emptyZone, zone))
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; allow-update { key test-key; }; };\n", zone, file)
	}
	return run(t, dir, addr, "recursion no;", conf.String())
}

// StartResolver runs a caching resolver that asks s for everything, as a
// machine's own resolver would.
func StartResolver(t testing.TB, s *Server) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	return run(t, t.TempDir(), free(t), fmt.Sprintf("recursion yes; forward only; forwarders { %s port %s; }; ", host, port), "")
}

const emptyZone = `$ORIGIN %s.
$TTL 60
@  IN SOA ns hostmaster 1 3600 600 86400 1
@  IN NS  ns
ns IN A   127.0.0.1
`

func run(t testing.TB, dir, addr, options, zones string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	s := &Server{Addr: addr, KeyName: "test-key.", KeySecret: base64.StdEncoding.EncodeToString(secret), KeyAlgorithm: dns.HmacSHA256}
	conf := filepath.Join(dir, "named.conf")
	write(t, conf, fmt.Sprintf(configuration, s.KeySecret, dir, port, host, options)+zones)
	s.start(t, conf)
	return s
}

const configuration = `key test-key { algorithm hmac-sha256; secret %q; };
controls { };
options {
	directory %q;
	listen-on port %s { %s; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	dnssec-validation no;
	allow-query { 127.0.0.0/8; };
	allow-transfer { 127.0.0.0/8; };
	notify no;
	%s
};
`

func (s *Server) start(t testing.TB, conf string) {
	t.Helper()
	s.cmd = exec.Command(apt.Need(t, "/usr/sbin/named", "bind9"), "-g", "-n", "1", "-c", conf)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting named: %v", err)
	}
	ended := make(chan string)
	go func() {
		last := tail(bufio.NewScanner(stderr))
		_ = s.cmd.Wait() // killed, it says its error
		ended <- last
		close(ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		for range ended {
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := s.answers()
		if err == nil {
			return
		}
		select {
		case last := <-ended:
			t.Fatalf("starting named: it ended: %s", last)
		case <-time.After(20 * time.Millisecond): // between two looks
		}
		if time.Now().After(deadline) {
			t.Fatalf("starting named: no answer within 30 s: %v", err)
		}
	}
}

// answers says that the server answers, by TCP, which only it can.
func (s *Server) answers() error {
	m := new(dns.Msg).SetQuestion(".", dns.TypeNS)
	m.RecursionDesired = false
	_, _, err := (&dns.Client{Net: "tcp", Timeout: time.Second}).Exchange(m, s.Addr)
	return err
}

// tail reads all, and is the last lines.
func tail(lines *bufio.Scanner) string {
	var last []string
	for lines.Scan() {
		if last = append(last, lines.Text()); len(last) > 8 {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}

// Pause makes the server silent, as a machine that hangs, and Resume ends that.
func (s *Server) Pause(t testing.TB) { t.Helper(); process.Pause(t, s.cmd.Process) }

// Resume lets a paused server answer again.
func (s *Server) Resume(t testing.TB) { t.Helper(); process.Resume(t, s.cmd.Process) }

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// free is a host:port that is free for TCP and UDP.
func free(t testing.TB) string {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		err = errors.Join(err, tcp.Close())
		if err == nil {
			_ = udp.Close()
			return tcp.Addr().String()
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return ""
}
