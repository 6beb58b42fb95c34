package discoveryurl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/registry"
)

// Founders is the record of who founds by this token; false when there is none
// yet. An empty one founds nobody: a cluster runs.
func (s *Source) Founders(ctx context.Context) ([]cluster.Founder, bool, error) {
	record, err := s.hidden(ctx, foundersKey)
	if err != nil {
		return nil, false, fmt.Errorf("reading who founds at the discovery URL at %s: %w", s.host, err)
	}
	if record == "" {
		return nil, false, nil
	}
	founders, err := registry.Founders(record)
	return founders, true, err
}

// SetFounders writes that record. It is never changed:
// where there is one, that stays, and is no failure.
func (s *Source) SetFounders(ctx context.Context, founders []cluster.Founder) error {
	if err := s.record(ctx, registry.Record(founders)); err != nil {
		return fmt.Errorf("writing who founds to the discovery URL at %s: %w", s.host, err)
	}
	return nil
}

func (s *Source) record(ctx context.Context, text string) error {
	_, err := s.ask(ctx, http.MethodPut, foundersKey, "prevExist=false", url.Values{"value": {text}})
	if errors.Is(err, errExists) {
		return nil
	}
	return err
}

// book is what Sync compares. Its parts are read one after the other.
type book struct {
	entries  []registry.Entry
	noted    string // as it is kept
	founders string // the record; empty: none yet
}

// InStep says that Sync would change nothing.
func (s *Source) InStep(ctx context.Context, members []cluster.Member) (bool, error) {
	b, c, err := s.compare(ctx, members)
	return err == nil && b.founders != "" && c.Empty(), err
}

// Sync brings the registrations in step with the cluster's members, as somebody
// who has the list from a quorum knows them. Registrations of machines that
// never were members stay: they may wait to join. From then on nobody founds by
// this token. A failure leaves some of the changes made; the next call makes
// the others.
func (s *Source) Sync(ctx context.Context, members []cluster.Member) error {
	if len(members) == 0 {
		return nil
	}
	b, c, err := s.compare(ctx, members)
	if err == nil {
		err = s.bring(ctx, b, c)
	}
	if err != nil {
		return fmt.Errorf("keeping the discovery URL at %s in step: %w", s.host, err)
	}
	return nil
}

func (s *Source) compare(ctx context.Context, members []cluster.Member) (book, registry.Changes, error) {
	b, err := s.book(ctx)
	if err == nil {
		b.founders, err = s.hidden(ctx, foundersKey)
	}
	if err == nil && b.founders != "" {
		_, err = registry.Founders(b.founders)
	}
	if err != nil {
		return b, registry.Changes{}, err
	}
	return b, registry.InStep(b.entries, b.ids(), members), nil
}

// book is read without the founders.
func (s *Source) book(ctx context.Context) (b book, err error) {
	list, err := s.ask(ctx, http.MethodGet, "", "", nil)
	if err == nil {
		b.entries, err = list.entries()
	}
	if err == nil {
		b.noted, err = s.hidden(ctx, notedKey)
	}
	return b, err
}

func (b book) ids() []string {
	return strings.FieldsFunc(b.noted, func(r rune) bool { return r == ',' })
}

// bring notes first, and takes a note back last: a note without a registration
// does no harm, and a registration that was never noted would stay for ever.
func (s *Source) bring(ctx context.Context, b book, c registry.Changes) error {
	if b.founders == "" {
		if err := s.record(ctx, registry.Elsewhere); err != nil {
			return err
		}
	}
	ids := append(b.ids(), c.Note...)
	if err := s.note(ctx, &b, ids); err != nil {
		return err
	}
	for _, e := range c.Add {
		_, err := s.ask(ctx, http.MethodPut, "/"+e.ID, "prevExist=false", url.Values{"value": {e.Value}})
		if err != nil && !errors.Is(err, errExists) {
			return err
		}
	}
	for _, id := range c.Drop {
		if _, err := s.ask(ctx, http.MethodDelete, "/"+id, "", nil); err != nil && !errors.Is(err, errNoKey) {
			return err
		}
	}
	return s.note(ctx, &b, slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(c.Drop, id) }))
}

// note replaces the list of notes, unless another has done so meanwhile.
func (s *Source) note(ctx context.Context, b *book, ids []string) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	text, query := strings.Join(ids, ","), "prevExist=false"
	if b.noted != "" {
		query = "prevValue=" + url.QueryEscape(b.noted)
	}
	if text == "" {
		text = "," // an empty value is no value to the API
	}
	if text == b.noted || len(ids) == 0 && b.noted == "" {
		return nil
	}
	_, err := s.ask(ctx, http.MethodPut, notedKey, query, url.Values{"value": {text}})
	if errors.Is(err, errExists) {
		err = errDiffers
	}
	if err == nil {
		b.noted = text
	}
	return err
}
