package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// The pace: a change of the view is acted on when it is seen, and what others
// changed in the group is seen in a round.
const (
	look  = time.Second
	round = 15 * time.Second
	limit = time.Minute // of one round's calls
)

// Keeper keeps one region's rules.
type Keeper struct {
	Cluster   string
	Self      string // this node's name in the view
	Addresses Addresses
	Group     *Group
	Log       *slog.Logger

	rounds int    // since the machines changed
	said   string // the last failure, logged once
}

// Run keeps the rules until ctx ends. view is what is known of the machines
// now; false when nothing is, and then nothing happens. It is asked often, so
// it should be cheap. Run hides its failures: the next round tries again.
func (k *Keeper) Run(ctx context.Context, view func() (cluster.View, bool)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var last []Rule
	var due time.Time
	for {
		if v, known := view(); known {
			wanted := k.every(v)
			now := time.Now()
			if !slices.Equal(wanted, last) {
				k.rounds, due = 0, now
			}
			if !now.Before(due) {
				last, due = wanted, now.Add(round)
				k.say(k.Round(ctx, v))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// every is what this node would want if it were its turn: its change is news.
func (k *Keeper) every(v cluster.View) []Rule {
	me, _ := v.Peer(k.Self)
	return Wanted(v, k.Cluster, me.Region, k.Addresses)
}

// say logs a failure when it is another than before, and its end.
func (k *Keeper) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == k.said:
		return
	case err != nil:
		k.Log.Warn("keeping the firewall's rules for other regions", "error", err)
	default:
		k.Log.Info("the firewall's rules for other regions are kept again")
	}
	k.said = text
}

// Round brings the group's rules in line with the view, if it is this node's
// turn. Nothing is removed on the word of a source that
// cannot prove that a machine is gone.
func (k *Keeper) Round(ctx context.Context, v cluster.View) error {
	region, turn := Turn(v, k.Self, k.rounds)
	k.rounds++
	if !turn {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := k.Group.Rules(ctx)
	if err != nil {
		return err
	}
	add, remove := Diff(k.Cluster, Wanted(v, k.Cluster, region, k.Addresses), found)
	if !v.Authoritative {
		remove = nil
	}
	// A full group takes the new rules only once the stale ones are gone.
	errRemove := k.Group.Remove(ctx, remove)
	if err := k.Group.Add(ctx, add); err != nil || errRemove != nil {
		return errors.Join(errRemove, err)
	}
	if len(add)+len(remove) > 0 {
		k.Log.Info("the firewall's rules for other regions", "region", region, "added", sources(add), "removed", sources(remove))
	}
	return nil
}

func sources(rules []Rule) []string {
	var out []string
	for _, r := range rules {
		out = append(out, fmt.Sprintf("%s:%d-%d", r.Source, r.From, r.To))
	}
	return out
}
