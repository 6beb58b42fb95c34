// Package clouddns is publish.Zone on Google Cloud DNS. One change there is
// atomic: its deletions must be what the zone holds, and its additions must not
// be there.
package clouddns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/dns/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/quorate/quorate/internal/publish"
)

// Config says which zone.
type Config struct {
	Zone    string // its exact DNS name
	ID      string // optional: the managed zone's own name
	Private *bool  // optional
	Project string // empty: GOOGLE_CLOUD_PROJECT
	Options []option.ClientOption
}

// callLimit bounds one List, and one change until it is done.
const callLimit = time.Minute

// Zone is one managed zone.
type Zone struct {
	cfg Config

	mu      sync.Mutex
	service *dns.Service
	id      string // once found
}

// Open asks nobody yet. Credentials are found as every Google client does.
func Open(c Config) (*Zone, error) {
	c.Zone = publish.CleanName(c.Zone)
	if c.Project == "" {
		c.Project = os.Getenv("GOOGLE_CLOUD_PROJECT")
	}
	if c.Project == "" {
		return nil, errors.New("no Google Cloud project: give project=NAME, or set GOOGLE_CLOUD_PROJECT")
	}
	return &Zone{cfg: c}, nil
}

// Transactional: a change is.
func (z *Zone) Transactional() {}

// forget ends with a call that has failed: the next one reads the credentials'
// file anew, which may have changed, and looks for the zone again.
func (z *Zone) forget(err *error) {
	if *err == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.service, z.id = nil, ""
}

// List is every set at or below domain.
func (z *Zone) List(ctx context.Context, domain string) (_ []publish.Set, err error) {
	defer z.forget(&err)
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, id, err := z.find(ctx)
	if err != nil {
		return nil, err
	}
	var out []publish.Set
	err = s.ResourceRecordSets.List(z.cfg.Project, id).Pages(ctx, func(page *dns.ResourceRecordSetsListResponse) error {
		for _, r := range page.Rrsets {
			if set := found(r); publish.Below(set.Name, domain) {
				out = append(out, set)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing managed zone %s: %w", id, err)
	}
	return out, nil
}

// Apply makes one change, and waits until it is done.
func (z *Zone) Apply(ctx context.Context, changes []publish.Change) (err error) {
	defer z.forget(&err)
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, id, err := z.find(ctx)
	if err != nil {
		return err
	}
	var change dns.Change
	for _, c := range changes {
		if c.Before != nil {
			change.Deletions = append(change.Deletions, wanted(*c.Before))
		}
		if c.After != nil {
			change.Additions = append(change.Additions, wanted(*c.After))
		}
	}
	done, err := s.Changes.Create(z.cfg.Project, id, &change).Context(ctx).Do()
	var said *googleapi.Error
	switch {
	case errors.As(err, &said) && slices.Contains([]int{http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotFound}, said.Code):
		return fmt.Errorf("changing managed zone %s: %w: %s", id, publish.ErrChanged, said.Message)
	case err != nil:
		return fmt.Errorf("changing managed zone %s: %w", id, err)
	}
	for done.Status != "done" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until change %s of managed zone %s is done: %w", done.Id, id, ctx.Err())
		case <-time.After(time.Second):
		}
		if done, err = s.Changes.Get(z.cfg.Project, id, done.Id).Context(ctx).Do(); err != nil {
			return fmt.Errorf("asking for a change of managed zone %s: %w", id, err)
		}
	}
	return nil
}

func wanted(s publish.Set) *dns.ResourceRecordSet {
	return &dns.ResourceRecordSet{Name: s.Name + ".", Type: s.Type, Ttl: int64(s.TTL / time.Second), Rrdatas: s.Values}
}

func found(r *dns.ResourceRecordSet) publish.Set {
	s := publish.Set{Name: publish.CleanName(r.Name), Type: r.Type, TTL: time.Duration(r.Ttl) * time.Second}
	if r.RoutingPolicy != nil {
		s.Special = "under a routing policy of Cloud DNS"
	}
	for _, v := range r.Rrdatas {
		s.Values = append(s.Values, publish.CleanValue(r.Type, v))
	}
	return s.Sorted()
}

// find is the one managed zone with exactly our DNS name.
func (z *Zone) find(ctx context.Context) (*dns.Service, string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.id != "" {
		return z.service, z.id, nil
	}
	if z.service == nil {
		s, err := dns.NewService(context.WithoutCancel(ctx), append([]option.ClientOption{option.WithScopes(dns.NdevClouddnsReadwriteScope)}, z.cfg.Options...)...)
		if err != nil {
			return nil, "", fmt.Errorf("finding Google credentials: %w", publish.WithoutPath("GOOGLE_APPLICATION_CREDENTIALS", err))
		}
		z.service = s
	}
	var ids []string
	err := z.service.ManagedZones.List(z.cfg.Project).Pages(ctx, func(page *dns.ManagedZonesListResponse) error {
		for _, m := range page.ManagedZones {
			if z.ours(m) {
				ids = append(ids, m.Name)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("looking for managed zone %s in project %s: %w", z.cfg.Zone, z.cfg.Project, err)
	case len(ids) == 0:
		return nil, "", fmt.Errorf("no managed zone of project %s is called exactly %s", z.cfg.Project, z.cfg.Zone)
	case len(ids) > 1:
		return nil, "", fmt.Errorf("%d managed zones are called %s: say which with id=: %s", len(ids), z.cfg.Zone, strings.Join(ids, ", "))
	}
	z.id = ids[0]
	return z.service, z.id, nil
}

func (z *Zone) ours(m *dns.ManagedZone) bool {
	private := m.Visibility == "private"
	return publish.CleanName(m.DnsName) == z.cfg.Zone && (z.cfg.ID == "" || z.cfg.ID == m.Name) && (z.cfg.Private == nil || *z.cfg.Private == private)
}
