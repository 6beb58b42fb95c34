package config

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers"
)

// answer is what the peers source has said, and how long that took.
type answer struct {
	view cluster.View
	err  error
	took time.Duration
}

// ofAMoment is how soon an error comes that may be over when one asks again.
const ofAMoment = time.Second

// View is the answer once more; the caller's own.
func (a answer) View(context.Context) (cluster.View, error) {
	view := a.view
	view.Peers = slices.Clone(view.Peers)
	return view, a.err
}

func ask(ctx context.Context, s peers.Source) *answer {
	began := time.Now()
	view, err := s.View(ctx)
	return &answer{view, err, time.Since(began)}
}

// Asked has the peers source asked, within the limit, unless it was when the
// settings were filled in: whoever looks but once does not wait for a program
// that hangs at every turn.
func (c Config) Asked(ctx context.Context, limit time.Duration) Config {
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil || c.asked != nil {
		return c
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	c.asked = ask(ctx, source)
	return c
}

// Heard is the source with what it has said in the place of a second question. An
// error of a moment is none.
func (c Config) Heard(s peers.Source) peers.Source {
	if c.asked == nil || c.asked.err != nil && c.asked.took < ofAMoment {
		return s
	}
	return *c.asked
}
