// Package discoveryurl is a peers source in a v2 discovery URL, as etcd's
// --discovery takes it, for those who still run such a service:
//
//	https://HOST/TOKEN?every=5s&cacert=FILE&cert=FILE&key=FILE
//	http://HOST:2379/v2/keys/discovery/TOKEN     the service's protocol is etcd's v2 keys
//
// The options are quorate's and never sent. GET TOKEN lists registrations, GET
// TOKEN/_config/size says how many found the cluster, and PUT TOKEN/ID with
// prevExist=false registers. The view is all that are registered, the first
// ones first, and the token's size; it is not authoritative.
//
// View only reads; Register and Sync write. Registrations are kept in step with
// the membership as in the v3 registry, whose promise is the same, though one key
// at a time: the protocol has no transactions. Keys of ours begin with an
// underscore, and the service lists none of those. The token is a secret (who
// has it may register), so no error shows it.
package discoveryurl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/pace"
	"github.com/quorate/quorate/internal/peers/query"
	"github.com/quorate/quorate/internal/peers/registry"
	"github.com/quorate/quorate/internal/tlsfiles"
)

// Source reads one token's registrations. Safe for concurrent use.
type Source struct {
	*pace.Source
	base  string // the URL of the token, without a slash at its end
	host  string // for errors
	ports entry.Ports
	http  *http.Client
}

// patience is how long one request may take.
const patience = 4 * time.Second

// Open takes the URL and asks nobody.
func Open(raw string, ports entry.Ports) (*Source, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("want https://host/TOKEN")
	}
	q := query.Of(u)
	files := tlsfiles.Files{CA: q.Text("cacert"), Cert: q.Text("cert"), Key: q.Text("key")}
	every := q.Duration("every", 5*time.Second, 0)
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Trim(u.Path, "/") == "" {
		q.Refuse(u.Scheme, "want https://host/TOKEN, without a user")
	}
	if (files.Cert == "") != (files.Key == "") {
		q.Refuse("cert", "want cert= and key= together")
	}
	if u.Scheme == "http" && !files.Empty() {
		q.Refuse("cacert", "want https")
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	u.RawQuery, u.ForceQuery = "", false
	s := &Source{base: strings.TrimRight(u.String(), "/"), host: u.Host, ports: ports, http: &http.Client{}}
	if !files.Empty() {
		s.http = files.HTTPClient(patience)
	}
	s.Source = pace.New(every, s.look)
	return s, nil
}

func (s *Source) look(ctx context.Context) (cluster.View, error) {
	v, err := s.read(ctx)
	if err != nil {
		return cluster.View{}, fmt.Errorf("reading the discovery URL at %s: %w", s.host, err)
	}
	return v, nil
}

func (s *Source) read(ctx context.Context) (cluster.View, error) {
	answer, err := s.ask(ctx, http.MethodGet, "/_config/size", "", nil)
	if err != nil {
		return cluster.View{}, fmt.Errorf("asking for the size: %w", err)
	}
	if answer.Node == nil {
		return cluster.View{}, errors.New("asking for the size: an answer without a node")
	}
	size, err := registry.Size(answer.Node.Value)
	if err != nil {
		return cluster.View{}, err
	}
	if answer, err = s.ask(ctx, http.MethodGet, "", "", nil); err != nil {
		return cluster.View{}, fmt.Errorf("asking for the registrations: %w", err)
	}
	entries, err := answer.entries()
	if err != nil {
		return cluster.View{}, fmt.Errorf("asking for the registrations: %w", err)
	}
	v, err := registry.View(entries, size, s.ports)
	if err == nil {
		err = s.founding(ctx, entries)
	}
	if err != nil {
		return cluster.View{}, err
	}
	return v, nil
}

// founding says who cannot found, until that is recorded: later, members may
// change one by one.
func (s *Source) founding(ctx context.Context, entries []registry.Entry) error {
	bad := registry.Founding(entries, s.ports.Scheme)
	if bad == nil {
		return nil
	}
	record, err := s.hidden(ctx, foundersKey)
	switch {
	case err != nil:
		return fmt.Errorf("asking who founds: %w", err)
	case record == "":
		return bad
	}
	return nil
}

// Register puts this node into the registry. The one of that name and address
// that is there already stays as it is, with its place in the order; one of
// another name that waits at the address is not replaced.
func (s *Source) Register(ctx context.Context, name, peerURL string) error {
	e := registry.Of(name, peerURL)
	b, err := s.book(ctx)
	if err == nil {
		err = registry.Free(b.entries, b.ids(), e)
	}
	if err != nil {
		return fmt.Errorf("registering at the discovery URL at %s: %w", s.host, err)
	}
	_, err = s.ask(ctx, http.MethodPut, "/"+e.ID, "prevExist=false", url.Values{"value": {e.Value}})
	if err != nil && !errors.Is(err, errExists) {
		return fmt.Errorf("registering at the discovery URL at %s: %w", s.host, err)
	}
	return nil
}

// ask sends one request of the v2 keys API.
func (s *Source) ask(ctx context.Context, method, part, query string, form url.Values) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	u := s.base + part
	if query != "" {
		u += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, u, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, bare(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := s.http.Do(req)
	if err != nil && ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	if err != nil {
		return answer{}, bare(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return answer{}, bare(err)
	}
	return read(resp.StatusCode, body)
}

// bare is err without the URL, which holds the token.
func bare(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
