// Package discovery is a peers source in etcd's v3 discovery registry, which is
// a few keys in any other etcd:
//
//	etcd://host:2379[,host2:2379]/TOKEN?every=5s
//	   &tls=true &cacert=FILE &cert=FILE &key=FILE &user=NAME&password-file=FILE
//
//	/_etcd/registry/TOKEN/_config/size    how many found the cluster
//	/_etcd/registry/TOKEN/members/ID      name=peerURL, in the order of creation
//	/_etcd/registry/TOKEN/_quorate/ID     ours alone: ID has been a member
//	/_etcd/registry/TOKEN/_quorate-…      ours alone, of print mode
//
// It is what etcd since 3.6 does with --discovery-token, spoken here, so that
// every version of etcd behaves alike, and those that come later join instead
// of ending. The view is all that are registered, the first ones first, and
// the token's size. It is not authoritative.
//
// View only reads. Register and Sync write: a node registers itself once, and
// the keeper brings the registrations in step with the membership (Sync).
// Register never replaces anything; who may write below the token may however
// lead the group astray, so give it the rights to no more than that.
package discovery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/pace"
	"github.com/quorate/quorate/internal/peers/registry"
)

// Source reads one token's registrations. Safe for concurrent use.
type Source struct {
	*pace.Source
	at    server
	token string
	ports entry.Ports
}

// Open takes etcd://…/TOKEN and asks nobody. Password and certificates are read
// for each look.
func Open(raw string, ports entry.Ports) (*Source, error) {
	at, token, every, err := parse(raw)
	if err == nil && !tokenForm.MatchString(token) {
		err = errors.New("want a token after the hosts, of letters, digits, dots, dashes and underscores: quorate discovery new makes one")
	}
	if err != nil {
		return nil, err
	}
	s := &Source{at: at, token: token, ports: ports}
	s.Source = pace.New(every, s.look)
	return s, nil
}

// New makes a token of that size in the etcd that raw names, which is a source
// without its token, and gives the whole source.
func New(ctx context.Context, raw string, size int) (string, error) {
	at, token, _, err := parse(raw)
	switch {
	case err != nil:
		return "", err
	case token != "":
		return "", errors.New("want no token after the hosts: a new one is made")
	case size < 1:
		return "", fmt.Errorf("size: %d: want a number, 1 or more", size)
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	token = hex.EncodeToString(secret)
	err = at.insist(ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, root+token+sizeKey, strconv.Itoa(size))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	hosts, options, _ := strings.Cut(strings.TrimSuffix(raw, "/"), "?")
	if options != "" {
		options = "?" + options
	}
	return strings.TrimSuffix(hosts, "/") + "/" + token + options, nil
}

// The keys.
const (
	root       = "/_etcd/registry/"
	sizeKey    = "/_config/size"
	membersKey = "/members/"
	notedKey   = "/_quorate/"
)

func (s *Source) key(part string) string { return root + s.token + part }

// book is one consistent reading.
type book struct {
	entries  []registry.Entry
	noted    []string
	size     string
	founders string // the record; empty: none yet
	revision int64
}

func (s *Source) look(ctx context.Context) (cluster.View, error) {
	b, err := s.read(ctx)
	if err != nil {
		return cluster.View{}, fmt.Errorf("reading the discovery registry: %w", err)
	}
	size, err := registry.Size(b.size)
	if err == nil {
		var v cluster.View
		v, err = registry.View(b.entries, size, s.ports)
		if err == nil && b.founders == "" { // later, members may change one by one
			err = registry.Founding(b.entries, s.ports.Scheme)
		}
		if err == nil {
			return v, nil
		}
	}
	return cluster.View{}, fmt.Errorf("reading the discovery registry at %s: %w", s.at, err)
}

// read reads all of the token's keys at one revision, linearizably.
func (s *Source) read(ctx context.Context) (b book, err error) {
	err = s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		reply, err := c.Get(ctx, s.key("/"), clientv3.WithPrefix(), clientv3.WithLimit(3000))
		if err != nil {
			return err
		}
		if reply.More {
			return errors.New("more than 3000 keys below the token")
		}
		b.revision = reply.Header.Revision
		for _, kv := range reply.Kvs {
			key := strings.TrimPrefix(string(kv.Key), root+s.token)
			switch {
			case key == sizeKey:
				b.size = string(kv.Value)
			case key == foundersKey:
				b.founders = string(kv.Value)
			case strings.HasPrefix(key, membersKey):
				b.entries = append(b.entries, registry.Entry{ID: strings.TrimPrefix(key, membersKey), Value: string(kv.Value), Order: kv.CreateRevision})
			case strings.HasPrefix(key, notedKey):
				b.noted = append(b.noted, strings.TrimPrefix(key, notedKey))
			}
		}
		if b.size == "" {
			return errNoToken
		}
		return nil
	})
	return b, err
}

var errNoToken = errors.New("there is no such token: quorate discovery new makes one")

// Register puts this node into the registry. The one of that name and address
// that is there already stays as it is, with its place in the order; one of
// another name that waits at the address is not replaced.
func (s *Source) Register(ctx context.Context, name, peerURL string) error {
	e := registry.Of(name, peerURL)
	b, err := s.read(ctx)
	if err == nil {
		err = registry.Free(b.entries, b.noted, e)
	}
	if err != nil {
		return fmt.Errorf("registering at the discovery registry: %w", err)
	}
	err = s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		reply, err := c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(s.key(sizeKey)), ">", 0), absent(s.key(membersKey)+e.ID)).
			Then(clientv3.OpPut(s.key(membersKey)+e.ID, e.Value)).
			Else(clientv3.OpGet(s.key(sizeKey), clientv3.WithCountOnly())).Commit()
		if err == nil && !reply.Succeeded && reply.Responses[0].GetResponseRange().Count == 0 {
			err = errNoToken
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("registering at the discovery registry: %w", err)
	}
	return nil
}

func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }
