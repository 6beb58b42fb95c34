// Package cloudflare is publish.Zone on Cloudflare's DNS, by its published REST
// API. A batch is one transaction there, but nothing in it can be made to
// depend on what is in the zone, so a change looks first and is no lock.
package cloudflare

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/publish"
)

// Config says which zone.
type Config struct {
	Zone string // its exact name
	ID   string // optional
	// Token is an API token that may read the zone and edit its DNS. It is asked
	// for before each call, because its file may change.
	Token func() (string, error)
	API   string // for tests; empty: Cloudflare's
}

// Zone is one zone.
type Zone struct {
	cfg Config
	api client

	mu sync.Mutex
	id string // once found
}

// Open asks nobody yet.
func Open(c Config) *Zone {
	c.Zone = publish.CleanName(c.Zone)
	if c.API == "" {
		c.API = "https://api.cloudflare.com/client/v4"
	}
	return &Zone{cfg: c, api: client{base: strings.TrimSuffix(c.API, "/"), token: c.Token}}
}

// record is one record as the API has it.
type record struct {
	ID      string   `json:"id,omitempty"`
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Content string   `json:"content,omitempty"`
	TTL     int      `json:"ttl"`
	Proxied bool     `json:"proxied"`
	Data    *srvData `json:"data,omitempty"`
}

// srvData is an SRV record; the API takes it in no other form.
type srvData struct {
	Priority int    `json:"priority"`
	Weight   int    `json:"weight"`
	Port     int    `json:"port"`
	Target   string `json:"target"`
}

// List is every set at or below domain.
func (z *Zone) List(ctx context.Context, domain string) ([]publish.Set, error) {
	records, err := z.records(ctx)
	if err != nil {
		return nil, err
	}
	var out []publish.Set
	for _, r := range records {
		name := publish.CleanName(r.Name)
		if !publish.Below(name, domain) {
			continue
		}
		i := slices.IndexFunc(out, func(s publish.Set) bool { return s.Name == name && s.Type == r.Type })
		if i < 0 {
			i = len(out)
			out = append(out, publish.Set{Name: name, Type: r.Type, TTL: time.Duration(r.TTL) * time.Second})
		}
		out[i].Values = append(out[i].Values, r.value())
		out[i] = out[i].Sorted()
	}
	return out, nil
}

// Apply makes the changes in one batch. The records that go are found first,
// so a set that is not as it was listed is noticed, up to a moment before.
func (z *Zone) Apply(ctx context.Context, changes []publish.Change) error {
	all, err := z.records(ctx)
	if err != nil {
		return err
	}
	var batch struct {
		Deletes []map[string]string `json:"deletes,omitempty"`
		Posts   []record            `json:"posts,omitempty"`
	}
	for _, c := range changes {
		var there []string
		for _, r := range all {
			if s := c.Set(); publish.CleanName(r.Name) == s.Name && r.Type == s.Type {
				there = append(there, r.value())
				if c.After == nil || c.After.TTL != time.Duration(r.TTL)*time.Second || !slices.Contains(c.After.Values, r.value()) {
					batch.Deletes = append(batch.Deletes, map[string]string{"id": r.ID})
				}
			}
		}
		slices.Sort(there)
		if before := values(c.Before); !slices.Equal(there, before) {
			return fmt.Errorf("changing zone %s: %s %s: %w", z.cfg.Zone, c.Set().Name, c.Set().Type, publish.ErrChanged)
		}
		for _, v := range values(c.After) {
			if c.Before != nil && c.Before.TTL == c.After.TTL && slices.Contains(there, v) {
				continue
			}
			r, err := wanted(*c.After, v)
			if err != nil {
				return err
			}
			batch.Posts = append(batch.Posts, r)
		}
	}
	id, err := z.find(ctx)
	if err != nil {
		return err
	}
	if err := z.api.do(ctx, "POST", "/zones/"+id+"/dns_records/batch", batch, nil); err != nil {
		return fmt.Errorf("changing zone %s: %w", z.cfg.Zone, err)
	}
	return nil
}

func values(s *publish.Set) []string {
	if s == nil {
		return nil
	}
	return s.Values
}

// value is a record's value as publish.Set has it. One that goes through
// Cloudflare's proxy is another: etcd cannot be reached by it.
func (r record) value() string {
	v := r.Content
	switch {
	case r.Type == "SRV" && r.Data != nil:
		v = fmt.Sprintf("%d %d %d %s", r.Data.Priority, r.Data.Weight, r.Data.Port, r.Data.Target)
	case r.Type == "TXT" && !strings.HasPrefix(v, `"`):
		v = `"` + v + `"`
	}
	v = publish.CleanValue(r.Type, v)
	if r.Proxied {
		v = "proxied " + v
	}
	return v
}

func wanted(s publish.Set, value string) (record, error) {
	r := record{Type: s.Type, Name: s.Name, TTL: int(s.TTL / time.Second)}
	if s.Type != "SRV" {
		r.Content = value
		return r, nil
	}
	r.Data = &srvData{}
	if _, err := fmt.Sscanf(value, "%d %d %d %s", &r.Data.Priority, &r.Data.Weight, &r.Data.Port, &r.Data.Target); err != nil {
		return r, fmt.Errorf("writing %s SRV %q: %w", s.Name, value, err)
	}
	r.Data.Target = strings.TrimSuffix(r.Data.Target, ".")
	return r, nil
}

// perPage is how many records the API is asked for at once; it may give fewer.
const perPage = 100

// records are all of the zone's, or an error: a page that is missing would be
// records that are not there.
func (z *Zone) records(ctx context.Context) ([]record, error) {
	id, err := z.find(ctx)
	if err != nil {
		return nil, err
	}
	var out []record
	for page := 1; ; page++ {
		var part []record
		all, err := z.api.page(ctx, "GET", fmt.Sprintf("/zones/%s/dns_records?per_page=%d&page=%d", id, perPage, page), nil, &part)
		if err != nil {
			return nil, fmt.Errorf("listing zone %s: %w", z.cfg.Zone, err)
		}
		out = append(out, part...)
		switch {
		case len(out) == all.Total:
			return out, nil
		case len(part) == 0 || len(out) > all.Total:
			return nil, fmt.Errorf("listing zone %s: %d records came, of %d: it changes meanwhile", z.cfg.Zone, len(out), all.Total)
		}
	}
}

// find is the id of the one zone with exactly our name.
func (z *Zone) find(ctx context.Context) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.id != "" {
		return z.id, nil
	}
	type zone struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	var found []zone
	if z.cfg.ID != "" {
		var one zone
		if err := z.api.do(ctx, "GET", "/zones/"+z.cfg.ID, nil, &one); err != nil {
			return "", fmt.Errorf("looking for zone %s: %w", z.cfg.ID, err)
		}
		if one.Name != z.cfg.Zone {
			return "", fmt.Errorf("zone %s is called %s, not %s", z.cfg.ID, one.Name, z.cfg.Zone)
		}
		found = []zone{one}
	} else if err := z.api.do(ctx, "GET", "/zones?name="+z.cfg.Zone, nil, &found); err != nil {
		return "", fmt.Errorf("looking for zone %s: %w", z.cfg.Zone, err)
	}
	found = slices.DeleteFunc(found, func(f zone) bool { return f.Name != z.cfg.Zone })
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no zone that the token may see is called exactly %s", z.cfg.Zone)
	case 1:
		z.id = found[0].ID
		return z.id, nil
	}
	return "", fmt.Errorf("%d zones are called %s: say which with id=", len(found), z.cfg.Zone)
}
