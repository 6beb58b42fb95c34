// Package awstest has a small instance metadata service for tests: one server
// for each instance. It keeps to the rules of IMDSv2, as EC2's documentation
// ("Use the Instance Metadata Service") gives them: a token by PUT with its
// time to live, and 401 to everyone who shows none that holds.
package awstest

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Instance is what the service tells. Empty fields are 404, as on EC2.
type Instance struct {
	ID, Type, Region, Zone, AccountID, ImageID  string
	PrivateIPv4, PublicIPv4, IPv6               string
	Launched                                    time.Time
	SpotAction                                  string // stop, hibernate or terminate: a spot interruption is announced
	SpotAt                                      time.Time
	RebalanceAt                                 time.Time // not zero: a rebalance recommendation stands
	Role, AccessKeyID, SecretAccessKey, Session string    // the instance profile's role and its credentials
}

// IMDS is the service of one instance. Safe for concurrent use.
type IMDS struct {
	server *httptest.Server
	done   chan struct{}

	mu       sync.Mutex
	instance Instance
	tokens   map[string]time.Time // until when
	hang     bool
	refuse   int
	calls    map[string]int
}

// Serve starts the service on a free port of 127.0.0.1, until the test ends.
func Serve(t testing.TB, instance Instance) *IMDS {
	s := &IMDS{instance: instance, tokens: map[string]time.Time{}, calls: map[string]int{}, done: make(chan struct{})}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	t.Cleanup(func() { close(s.done) }) // first: who hangs would keep Close waiting
	return s
}

// URL is what AWS_EC2_METADATA_SERVICE_ENDPOINT of the instance's processes is.
func (s *IMDS) URL() string { return s.server.URL }

// Environ are the variables that lead an AWS SDK here.
func (s *IMDS) Environ() []string {
	return []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + s.URL(), "AWS_EC2_METADATA_DISABLED=false"}
}

// Point leads the AWS SDK of this test process here.
func (s *IMDS) Point(t testing.TB) {
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
}

// Change changes the instance.
func (s *IMDS) Change(change func(*Instance)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.instance)
}

// Interrupt announces a spot interruption: action is stop, hibernate or terminate.
func (s *IMDS) Interrupt(action string, at time.Time) {
	s.Change(func(i *Instance) { i.SpotAction, i.SpotAt = action, at })
}

// Rebalance recommends to replace the instance, since at.
func (s *IMDS) Rebalance(at time.Time) {
	s.Change(func(i *Instance) { i.RebalanceAt = at })
}

// Hang answers nothing any more, or again.
func (s *IMDS) Hang(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = on
}

// Refuse answers every request with that status, 0 with none: EC2 says 403
// when the service is off for the instance.
func (s *IMDS) Refuse(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = status
}

// Revoke makes all tokens invalid, as a restart of the service does.
func (s *IMDS) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Calls is how often a path was asked for, without /latest/ in front.
func (s *IMDS) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

const latest = "/latest/"

func (s *IMDS) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hang, refuse := s.hang, s.refuse
	if len(r.URL.Path) > len(latest) {
		s.calls[r.URL.Path[len(latest):]]++
	}
	s.mu.Unlock()
	switch {
	case hang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case refuse != 0:
		w.WriteHeader(refuse)
	case r.URL.Path == latest+"api/token":
		s.token(w, r)
	case !s.holds(r.Header.Get("X-aws-ec2-metadata-token")):
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		s.answer(w, r)
	}
}

const ttlHeader = "X-aws-ec2-metadata-token-ttl-seconds"

// token makes a token. It refuses who comes through a proxy.
func (s *IMDS) token(w http.ResponseWriter, r *http.Request) {
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	switch {
	case r.Method != http.MethodPut:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.Header.Get("X-Forwarded-For") != "":
		w.WriteHeader(http.StatusForbidden)
		return
	case err != nil || ttl < 1 || ttl > 21600:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token := rand.Text()
	s.mu.Lock()
	s.tokens[token] = time.Now().Add(time.Duration(ttl) * time.Second)
	s.mu.Unlock()
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	_, _ = w.Write([]byte(token))
}

func (s *IMDS) holds(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.tokens[token])
}
