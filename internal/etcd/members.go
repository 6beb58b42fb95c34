package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// Refusals of etcd's on which someone decides. Each is an answer, not a fault:
// the next round looks again.
var (
	ErrNotReady        = errors.New("the learner is not in sync with the leader yet")
	ErrUnhealthy       = errors.New("etcd's strict check refuses: too few members are connected")
	ErrTooManyLearners = errors.New("the cluster has as many learners as it takes")
	ErrMemberUnknown   = errors.New("no member has this id")
	ErrPeerURLExists   = errors.New("a member has this peer URL already")
	ErrNotLearner      = errors.New("the member votes already")
	ErrLearner         = errors.New("a learner does not serve this call")
	ErrNotLeader       = errors.New("only the leader serves this call")
	ErrCompacted       = errors.New("the revision has been compacted")
	ErrFutureRevision  = errors.New("the member has not come to this revision yet")
)

var refusals = map[error]error{
	rpctypes.ErrMemberLearnerNotReady:                      ErrNotReady,
	rpctypes.ErrUnhealthy:                                  ErrUnhealthy,
	rpctypes.ErrMemberNotEnoughStarted:                     ErrUnhealthy,
	rpctypes.ErrTooManyLearners:                            ErrTooManyLearners,
	rpctypes.ErrMemberNotFound:                             ErrMemberUnknown,
	rpctypes.ErrPeerURLExist:                               ErrPeerURLExists,
	rpctypes.ErrMemberExist:                                ErrPeerURLExists, // within one second the id is the same too
	rpctypes.ErrMemberNotLearner:                           ErrNotLearner,
	rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner): ErrLearner,
	rpctypes.ErrNotLeader:                                  ErrNotLeader,
	rpctypes.ErrCompacted:                                  ErrCompacted,
	rpctypes.ErrFutureRev:                                  ErrFutureRevision,
}

// refusal prints as etcd put it and is both etcd's error and ours.
type refusal struct{ ours, etcds error }

func (r refusal) Error() string   { return r.etcds.Error() }
func (r refusal) Unwrap() []error { return []error{r.ours, r.etcds} }

// refine gives an error of etcd's the sentinel that stands for it here.
func refine(err error) error {
	err = rpctypes.Error(err)
	for theirs, ours := range refusals {
		if errors.Is(err, theirs) {
			return refusal{ours, err}
		}
	}
	return err
}

// Members is the member list as the quorum agrees on it, and the cluster's id.
func (c *Client) Members(ctx context.Context) ([]cluster.Member, cluster.ClusterID, error) {
	return c.list(ctx)
}

// LocalMembers is the endpoint's own view of the member list: it may be old,
// and it is there without a quorum.
func (c *Client) LocalMembers(ctx context.Context) ([]cluster.Member, cluster.ClusterID, error) {
	return c.list(ctx, clientv3.WithSerializable())
}

func (c *Client) list(ctx context.Context, opts ...clientv3.OpOption) ([]cluster.Member, cluster.ClusterID, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("listing members: %w", err)
	}
	r, err := etcd.MemberList(ctx, opts...)
	if err != nil {
		return nil, 0, fmt.Errorf("listing members: %w", refine(err))
	}
	return members(r.Members), cluster.ClusterID(r.Header.GetClusterId()), nil
}

// AddLearner adds a member that does not vote and returns its id and the list
// with it. An error may hide a success: look at the list before trying again.
func (c *Client) AddLearner(ctx context.Context, peerURL string) (cluster.MemberID, []cluster.Member, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("adding learner %s: %w", peerURL, err)
	}
	r, err := etcd.MemberAddAsLearner(ctx, []string{peerURL})
	if err != nil {
		return 0, nil, fmt.Errorf("adding learner %s: %w", peerURL, refine(err))
	}
	return cluster.MemberID(r.Member.ID), members(r.Members), nil
}

// AddVoter adds a member that votes at once. An error may hide a success: look
// at the list before trying again.
func (c *Client) AddVoter(ctx context.Context, peerURL string) error {
	return c.change(ctx, "adding voter "+peerURL, func(etcd *clientv3.Client) error {
		_, err := etcd.MemberAdd(ctx, []string{peerURL})
		return err
	})
}

// Promote gives a learner its vote: ErrNotReady until it has caught up.
func (c *Client) Promote(ctx context.Context, id cluster.MemberID) error {
	return c.change(ctx, "promoting member "+id.String(), func(etcd *clientv3.Client) error {
		_, err := etcd.MemberPromote(ctx, uint64(id))
		return err
	})
}

// Remove takes a member out for good: etcd never accepts its id again.
func (c *Client) Remove(ctx context.Context, id cluster.MemberID) error {
	return c.change(ctx, "removing member "+id.String(), func(etcd *clientv3.Client) error {
		_, err := etcd.MemberRemove(ctx, uint64(id))
		return err
	})
}

// Update gives a member other peer URLs.
func (c *Client) Update(ctx context.Context, id cluster.MemberID, peerURLs []string) error {
	return c.change(ctx, "updating member "+id.String(), func(etcd *clientv3.Client) error {
		_, err := etcd.MemberUpdate(ctx, uint64(id), peerURLs)
		return err
	})
}

// MoveLeader hands the lead to another voter; only the leader's own endpoint
// takes it, another answers ErrNotLeader.
func (c *Client) MoveLeader(ctx context.Context, to cluster.MemberID) error {
	return c.change(ctx, "moving the lead to member "+to.String(), func(etcd *clientv3.Client) error {
		_, err := etcd.MoveLeader(ctx, uint64(to))
		return err
	})
}

func (c *Client) change(ctx context.Context, act string, call func(*clientv3.Client) error) error {
	etcd, err := c.open(ctx)
	if err == nil {
		err = refine(call(etcd))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

func members(list []*etcdserverpb.Member) []cluster.Member {
	out := make([]cluster.Member, len(list))
	for i, m := range list {
		out[i] = cluster.Member{
			ID:         cluster.MemberID(m.ID),
			Name:       m.Name,
			PeerURLs:   m.PeerURLs,
			ClientURLs: m.ClientURLs,
			Learner:    m.IsLearner,
		}
	}
	return out
}
