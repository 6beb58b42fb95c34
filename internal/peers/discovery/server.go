package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/query"
)

// server is the etcd that holds the registry.
type server struct {
	hosts              []string // host:port
	tls                bool
	cacert, cert, key  string
	user, passwordFile string
}

// String names it for people; tokens and users are not in it.
func (s server) String() string { return strings.Join(s.hosts, ",") }

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// parse takes a source apart, by hand: a list of hosts is no URL. No error
// repeats the text, which may hold what nobody should read.
func parse(raw string) (s server, token string, every time.Duration, err error) {
	rest, ok := strings.CutPrefix(raw, "etcd://")
	rest, options, _ := strings.Cut(rest, "?")
	hosts, token, _ := strings.Cut(rest, "/")
	q := query.Of(&url.URL{RawQuery: options})
	every = q.Duration("every", 5*time.Second, 0)
	s = server{
		cacert: q.Text("cacert"), cert: q.Text("cert"), key: q.Text("key"),
		user: q.Text("user"), passwordFile: q.Text("password-file"),
	}
	s.tls = q.OneOf("tls", "false", "true") == "true" || s.cacert != "" || s.cert != ""
	if !ok || strings.ContainsAny(rest, "@#") {
		q.Refuse("etcd", "want etcd://host:2379/TOKEN; a user is given by user= and password-file=")
		return s, "", 0, q.Err()
	}
	for _, h := range strings.Split(hosts, ",") {
		address, err := endpoint(h)
		if err != nil {
			q.Refuse("etcd", "%v", err)
		}
		s.hosts = append(s.hosts, address)
	}
	if (s.cert == "") != (s.key == "") {
		q.Refuse("cert", "want cert= and key= together")
	}
	if (s.user == "") != (s.passwordFile == "") {
		q.Refuse("user", "want user= and password-file= together")
	}
	return s, token, every, q.Err()
}

// CheckEndpoint says what is wrong with host:port of an etcd, or a host alone.
func CheckEndpoint(h string) error {
	if strings.ContainsAny(h, "@/#?,") {
		return errors.New("want HOST:PORT") // what it is may be a secret
	}
	_, err := endpoint(h)
	return err
}

func endpoint(h string) (string, error) {
	host, port := h, "2379"
	if at, p, err := net.SplitHostPort(h); err == nil {
		host, port = at, p
	}
	host, err := entry.Host(host)
	if err != nil {
		return "", err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", errors.New("want a port of 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

// patience is how long one question may take, the connecting included; after
// slow, somebody looks why it takes long.
const (
	patience = 4 * time.Second
	slow     = 500 * time.Millisecond
)

// with connects, asks and hangs up: a look is seldom, and a source that nobody
// closes must leave nothing behind.
func (s server) with(ctx context.Context, ask func(context.Context, *clientv3.Client) error) error {
	return s.within(ctx, patience, ask)
}

func (s server) within(ctx context.Context, limit time.Duration, ask func(context.Context, *clientv3.Client) error) error {
	ctx, stop := context.WithTimeoutCause(ctx, limit, late(limit))
	defer stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cfg, err := s.config(ctx)
	if err != nil {
		return err
	}
	looked := make(chan struct{})
	look := time.AfterFunc(slow, func() {
		defer close(looked)
		if err := s.why(ctx, cfg.TLS); err != nil {
			end(err)
		}
	})
	if err = s.ask(ctx, cfg, ask); ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	if end(nil); !look.Stop() {
		<-looked
	}
	if err != nil {
		return fmt.Errorf("asking %s: %w", s, err)
	}
	return nil
}

func (s server) ask(ctx context.Context, cfg clientv3.Config, ask func(context.Context, *clientv3.Client) error) error {
	c, err := clientv3.New(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return ask(ctx, c)
}

func (s server) config(ctx context.Context) (clientv3.Config, error) {
	cfg := clientv3.Config{Context: ctx, DialTimeout: patience, Logger: zap.NewNop(), Username: s.user}
	scheme := "http://"
	if s.tls {
		scheme = "https://"
		files := transport.TLSInfo{TrustedCAFile: s.cacert, CertFile: s.cert, KeyFile: s.key, Logger: zap.NewNop()}
		var err error
		if cfg.TLS, err = files.ClientConfig(); err != nil {
			return cfg, fmt.Errorf("reading cacert, cert and key: %w", err)
		}
		cfg.TLS.MinVersion = tls.VersionTLS12
	}
	for _, h := range s.hosts {
		cfg.Endpoints = append(cfg.Endpoints, scheme+h)
	}
	if s.passwordFile == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(s.passwordFile)
	if err != nil {
		return cfg, fmt.Errorf("reading password-file: %w", err)
	}
	cfg.Password = strings.TrimRight(string(text), "\r\n")
	if cfg.Password == "" || strings.ContainsAny(cfg.Password, "\r\n") {
		return cfg, fmt.Errorf("reading password-file: %s: want one line, the password", s.passwordFile)
	}
	return cfg, nil
}
