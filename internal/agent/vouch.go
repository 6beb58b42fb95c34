package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// errUnlisted means that a member does not know our entry as we were invited
// to it: it is behind, or ahead of the report on which we decided.
var errUnlisted = errors.New("waiting until every member that answers lists our entry")

// vouched asks every member that a joiner's etcd may ask, and fails unless all
// that answer, and one at least, list our peer URL under the very id that we
// were invited to, and as not started yet. Etcd itself takes its id from the
// first member that answers it, by URL alone: from one that is behind it would
// take the id of an entry that a lost disk of ours has spent, and vote twice.
//
// A member that is silent now and answers etcd an instant later is not covered:
// it would have to be cut off from the leader and from us, and then from the
// leader alone.
func (a *Agent) vouched(ctx context.Context, s plan.StartEtcd) error {
	ctx, cancel := context.WithTimeout(ctx, etcdLook)
	defer cancel()
	urls := others(s.Initial, a.peerURL())
	verdicts := make(chan error, len(urls))
	for _, u := range urls {
		go func() { verdicts <- a.listedAt(ctx, u, s.Spends) }()
	}
	answers := 0
	var wrong []error
	for range urls {
		switch err := <-verdicts; {
		case err == nil:
			answers++
		case errors.Is(err, errUnlisted):
			wrong = append(wrong, err)
		}
	}
	if len(wrong) == 0 && answers == 0 {
		return fmt.Errorf("%w: none of %s answers on its peer port", errUnlisted, strings.Join(urls, " "))
	}
	return errors.Join(wrong...)
}

// listedAt says whether the member at that URL lists us as the id. Any other
// error than errUnlisted is silence.
func (a *Agent) listedAt(ctx context.Context, at, id string) error {
	p, err := a.parts.AtPeer(ctx, at)
	if err != nil {
		return err
	}
	var ours []cluster.Member
	for _, m := range p.Members {
		if m.Listens(a.peerURL()) || m.ID.String() == id {
			ours = append(ours, m)
		}
	}
	switch {
	case len(ours) == 0:
		return fmt.Errorf("%w: %s knows none at %s", errUnlisted, at, a.peerURL())
	case len(ours) > 1 || ours[0].ID.String() != id || !ours[0].Listens(a.peerURL()):
		return fmt.Errorf("%w: %s lists %s as member %s, we were invited as %s", errUnlisted, at, a.peerURL(), ours[0].ID, id)
	case ours[0].Started():
		return fmt.Errorf("%w: %s says that member %s has started already", errUnlisted, at, id)
	}
	return nil
}

// others are the peer URLs of an --initial-cluster but our own.
func others(initial, own string) []string {
	var urls []string
	for _, part := range strings.Split(initial, ",") {
		if _, u, _ := strings.Cut(part, "="); u != "" && u != own {
			urls = append(urls, u)
		}
	}
	return urls
}
