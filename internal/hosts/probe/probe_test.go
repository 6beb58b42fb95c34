package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/hosts"
)

// network is this package's own loopback addresses.
const network = "127.88.1."

var ports = []hosts.Port{{Key: "client-port", Number: 2379}, {Key: "peer-port", Number: 2380}}

// one is a probe under way, as its caller holds it.
type running struct {
	in    *io.PipeWriter
	out   *json.Decoder
	ended chan error
}

func start(t *testing.T, task hosts.Task) *running {
	t.Helper()
	toProbe, in := io.Pipe()
	fromProbe, out := io.Pipe()
	p := &running{in: in, out: json.NewDecoder(fromProbe), ended: make(chan error, 1)}
	go func() { p.ended <- Run(t.Context(), toProbe, out) }()
	if err := json.NewEncoder(in).Encode(task); err != nil {
		t.Fatal(err)
	}
	var ready Ready
	if err := p.out.Decode(&ready); err != nil || !ready.Ready {
		t.Fatalf("not ready: %v", err)
	}
	return p
}

func (p *running) measured(t *testing.T) hosts.Measured {
	t.Helper()
	var m hosts.Measured
	if _, err := io.WriteString(p.in, `{"go":true}`); err != nil {
		t.Fatal(err)
	}
	if err := p.out.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *running) end(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// failed are the calls that reached nobody, or another.
func failed(m hosts.Measured) string {
	var out []string
	for _, c := range m.Calls {
		if c.Error != "" || c.Other != "" {
			out = append(out, fmt.Sprintf("%s %d %s%s", c.To, c.Port.Number, c.Error, c.Other))
		}
	}
	return strings.Join(out, "; ")
}

func task(name string, number int, peers ...hosts.PeerHost) hosts.Task {
	return hosts.Task{Name: name, Nonce: "n", Listen: fmt.Sprint(network, number), DataDir: "/var/tmp/quorate-none/data", Ports: ports, Peers: peers}
}

func peer(name string, number int) hosts.PeerHost {
	return hosts.PeerHost{Name: name, Host: fmt.Sprint(network, number), Ports: ports}
}

// TestCovers reads the kernel's addresses as a little-endian machine writes them.
func TestCovers(t *testing.T) {
	for _, c := range []struct {
		at, host string
		want     bool
	}{
		{"0100007F", "127.0.0.1", true},
		{"0100007F", "127.0.0.2", false},
		{"00000000", "127.0.0.2", true},
		{"00000000000000000000000000000000", "127.0.0.2", true},
		{"0000000000000000FFFF00000100007F", "127.0.0.1", true},
		{"0000000000000000FFFF00000100007F", "127.0.0.2", false},
		{"00000000000000000000000001000000", "::1", true},
		{"00000000000000000000000001000000", "127.0.0.1", false},
		{"0100007F", "a.example", true}, // a name: better one word too many than none
		{"zz", "127.0.0.1", false},
	} {
		if got := covers(c.at, c.host); got != c.want {
			t.Errorf("%s covers %s: %t", c.at, c.host, got)
		}
	}
}

// TestProbe: two hosts that reach each other; a third where a firewall drops;
// a fourth whose address leads to the first; a fifth where another program
// listens.
func TestProbe(t *testing.T) {
	drops(t, network+"13", 2379)
	other, err := net.Listen("tcp", network+"15:2380")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	all := []hosts.PeerHost{peer("a", 11), peer("b", 12), peer("dropping", 13), peer("mistaken", 11), peer("busy", 15)}
	a, b, busy := start(t, task("a", 11, all...)), start(t, task("b", 12, all[:2]...)), start(t, task("busy", 15))

	m := b.measured(t)
	if got := failed(m); got != "" || !m.Here || len(m.Taken) > 0 || len(m.Errors) > 0 {
		t.Errorf("b: %s %+v", got, m)
	}
	if m.Fsync.N == 0 || m.Fsync.P50 <= 0 || m.Fsync.P99 < m.Fsync.P50 || m.Free <= 0 {
		t.Errorf("the disk: %+v", m)
	}
	want := "dropping 2379 no answer within 4s, as by a firewall; dropping 2380 refused, as by a firewall; mistaken 2379 a; mistaken 2380 a"
	if got := failed(a.measured(t)); got != want {
		t.Errorf("a reaches not\n%s\nwant\n%s", got, want)
	}
	m = busy.measured(t)
	if len(m.Taken) != 1 || m.Taken[0].Port.Number != 2380 || !strings.Contains(m.Taken[0].Holder, fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("busy: %+v", m.Taken)
	}
	for _, p := range []*running{a, b, busy} {
		p.end(t)
	}
	// Each has let its ports go.
	for _, n := range []int{11, 12} {
		ln, err := net.Listen("tcp", fmt.Sprint(network, n, ":2379"))
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}

// TestProbeElsewhere: an address that is another machine's.
func TestProbeElsewhere(t *testing.T) {
	elsewhere := task("a", 11)
	elsewhere.Listen = "192.0.2.1"
	elsewhere.Busy = true
	p := start(t, elsewhere)
	if m := p.measured(t); m.Here || m.Fsync.N != 0 {
		t.Errorf("%+v", m)
	}
	p.end(t)
}

// TestProbeEndsWithItsCaller: nothing stays behind of a probe whose connection
// broke before it was told to go on.
func TestProbeEndsWithItsCaller(t *testing.T) {
	p := start(t, task("a", 16))
	p.in.CloseWithError(io.ErrUnexpectedEOF)
	select {
	case err := <-p.ended:
		if err == nil {
			t.Error("half a conversation is no error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// drops is a port whose queue is full: connecting to it hangs.
func drops(t *testing.T, host string, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(host).To4())}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", host, port), 200*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not fill")
}
