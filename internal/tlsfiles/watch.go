package tlsfiles

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/smallfile"
)

// watch holds what was read last from one set of files.
type watch struct {
	files Files
	pair  *cached[*tls.Certificate]
	roots *cached[*x509.CertPool] // nil pool: the system's roots
}

func newWatch(f Files) *watch {
	return &watch{
		files: f,
		pair: &cached[*tls.Certificate]{
			what:  "certificate and key",
			paths: []string{f.Cert, f.Key},
			parse: func(pem [][]byte) (*tls.Certificate, error) { return pairFrom(pem[0], pem[1]) },
		},
		roots: &cached[*x509.CertPool]{
			what:  "certificate authority",
			paths: []string{f.CA},
			parse: func(pem [][]byte) (*x509.CertPool, error) { return poolFrom(pem[0]) },
		},
	}
}

// dialTLS gives each connection the host that was dialled, which crypto/tls
// would hide from the verification when it is an IP address.
func (w *watch) dialTLS(dialer *net.Dialer, timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host := w.files.ServerName
		if host == "" {
			var err error
			if host, _, err = net.SplitHostPort(addr); err != nil {
				return nil, err
			}
		}
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		d := tls.Dialer{NetDialer: dialer, Config: w.client(host)}
		return d.DialContext(ctx, network, addr)
	}
}

// settled is how old a file must be for its stat to vouch for its content: two
// writes within one tick of the file system's clock look the same.
const settled = 2 * time.Second

// cached is a value parsed from files, as fresh as they are. Safe for
// concurrent use.
type cached[T any] struct {
	what  string
	paths []string
	parse func([][]byte) (T, error)

	mu     sync.Mutex
	value  T
	good   bool          // value was parsed once
	stats  []os.FileInfo // of the files of value, before they were read
	vouch  bool          // stats, unchanged, mean unchanged content
	reread int           // for tests
}

// load is the newest value that parses. An error is returned only before the
// first: afterwards, a file that is gone, half written, or of another pair
// than its neighbour, leaves the value as it is, and is tried again next time.
func (c *cached[T]) load() (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats, err := statAll(c.paths)
	if err == nil && c.good && c.vouch && unchanged(c.stats, stats) {
		return c.value, nil
	}
	if err == nil {
		err = c.refresh(stats)
	}
	if c.good {
		return c.value, nil
	}
	var none T
	return none, fmt.Errorf("reading the %s: %w", c.what, err)
}

func (c *cached[T]) refresh(stats []os.FileInfo) error {
	c.reread++
	pems := make([][]byte, len(c.paths))
	for i, path := range c.paths {
		var err error
		if pems[i], err = smallfile.Read(path); err != nil {
			return err
		}
	}
	value, err := c.parse(pems)
	if err != nil {
		return err
	}
	c.value, c.good, c.stats, c.vouch = value, true, stats, true
	for _, s := range stats {
		c.vouch = c.vouch && time.Since(s.ModTime()) > settled
	}
	return nil
}

func statAll(paths []string) ([]os.FileInfo, error) {
	stats := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		var err error
		if stats[i], err = os.Stat(path); err != nil {
			return nil, err
		}
	}
	return stats, nil
}

func unchanged(before, now []os.FileInfo) bool {
	for i := range before {
		same := os.SameFile(before[i], now[i]) && before[i].Size() == now[i].Size() &&
			before[i].ModTime().Equal(now[i].ModTime())
		if !same {
			return false
		}
	}
	return true
}

// certificates parses a PEM file whole: every block that begins must end.
func certificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	blocks := 0
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	switch begun := bytes.Count(data, []byte("-----BEGIN ")); {
	case len(certs) == 0:
		return nil, errors.New("no certificate in it")
	case begun != blocks:
		return nil, fmt.Errorf("%d PEM blocks begin in it, %d can be read", begun, blocks)
	}
	return certs, nil
}
