package etcd

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// alarms finds the alarms in what a member's status lists as its errors: each
// etcd line prints them a little differently, with one blank or two.
func alarms(errs []string) []cluster.Alarm {
	var out []cluster.Alarm
	for _, e := range errs {
		var a cluster.Alarm
		for _, field := range strings.Fields(e) {
			key, value, _ := strings.Cut(field, ":")
			switch key {
			case "memberID":
				id, _ := strconv.ParseUint(value, 10, 64)
				a.Member = cluster.MemberID(id)
			case "alarm":
				a.Kind = cluster.AlarmKind(value)
			}
		}
		if a.Kind != "" {
			out = append(out, a)
		}
	}
	return out
}

// Disarm takes an alarm back, for all members.
func (c *Client) Disarm(ctx context.Context, a cluster.Alarm) error {
	return c.change(ctx, "disarming "+string(a.Kind)+" of member "+a.Member.String(), func(etcd *clientv3.Client) error {
		kind := etcdserverpb.AlarmType(etcdserverpb.AlarmType_value[string(a.Kind)])
		// The client's own AlarmDisarm dials, and without a member disarms all.
		api := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
		_, err := api.Alarm(ctx, &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_DEACTIVATE, MemberID: uint64(a.Member), Alarm: kind})
		return err
	})
}

// Compact forgets what was overwritten or deleted up to a revision, and returns
// when this member has done it. Of a revision that is compacted already it
// returns nil.
func (c *Client) Compact(ctx context.Context, rev int64) error {
	return c.change(ctx, "compacting to revision "+strconv.FormatInt(rev, 10), func(etcd *clientv3.Client) error {
		_, err := etcd.Compact(ctx, rev, clientv3.WithCompactPhysical())
		if errors.Is(refine(err), ErrCompacted) {
			return nil
		}
		return err
	})
}
