package discoveryurl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/quorate/quorate/internal/peers/registry"
)

// The keys of ours. The service does not list those that begin with an underscore.
const (
	diskKey     = "/_quorate-disk-"    // begins the marks of print mode: which disk last had a node's identity
	foundersKey = "/_quorate-founders" // who founds
	notedKey    = "/_quorate-noted"    // ids of registrations that have a member, with commas
)

// Mark is the mark of the node of that name and address; empty when there is none.
func (s *Source) Mark(ctx context.Context, name, peerURL string) (string, error) {
	mark, err := s.hidden(ctx, diskKey+registry.Of(name, peerURL).ID)
	if err != nil {
		return "", fmt.Errorf("reading this node's mark at the discovery URL at %s: %w", s.host, err)
	}
	return mark, nil
}

// hidden is the text of a key of ours; empty when there is none.
func (s *Source) hidden(ctx context.Context, key string) (string, error) {
	a, err := s.ask(ctx, http.MethodGet, key, "", nil)
	switch {
	case errors.Is(err, errNoKey): // by the API's own word, and not any 404 on the way to it
		return "", nil
	case err != nil:
		return "", err
	case a.Node == nil:
		return "", errors.New("an answer without a node")
	}
	return a.Node.Value, nil
}

// SetMark replaces that mark.
func (s *Source) SetMark(ctx context.Context, name, peerURL, mark string) error {
	_, err := s.ask(ctx, http.MethodPut, diskKey+registry.Of(name, peerURL).ID, "", url.Values{"value": {mark}})
	if err != nil {
		return fmt.Errorf("writing this node's mark to the discovery URL at %s: %w", s.host, err)
	}
	return nil
}
