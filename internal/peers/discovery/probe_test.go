package discovery

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/clustertest/process"
)

// TestWhy: a registry that cannot be asked says why, and at once; one that only
// hangs is waited for.
func TestWhy(t *testing.T) {
	plain, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{plain}})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	nobody := process.FreeAddr(t)
	cert, _ := selfSigned(t, "127.0.0.1")
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for raw, want := range map[string]string{
		nobody + "/t":                                "connection refused",
		nobody + "," + at(secure) + "/t":             "connection refused",
		plain + "/t?tls=true":                        plain + " does not speak TLS: want neither tls=true nor cacert=",
		at(secure) + "/t":                            at(secure) + " speaks TLS: want tls=true or cacert=FILE",
		at(secure) + "/t?cacert=" + cert:             "certificate signed by unknown authority",
		at(web) + "/t":                               at(web) + " does not speak as etcd's client port does",
		silent.Addr().String() + "/t":                "no answer within 4s",
		silent.Addr().String() + "," + nobody + "/t": "no answer within 4s",
		nobody + "," + plain + "/t":                  "there is no such token",
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := open(t, "etcd://"+raw).View(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "context") {
				t.Errorf("got %v, want %q", err, want)
			}
			if took := time.Since(began); took > patience && want != "no answer within 4s" {
				t.Errorf("it took %s", took)
			}
		})
	}
}
