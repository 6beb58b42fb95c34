package gate

import (
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// kind is what a hand-over does to a request, and the gate for it.
type kind int

const (
	// free requests need no leader, or are about one.
	free kind = iota
	// read requests need a leader. Those that meet a change of it fail in a way
	// that the client retries: new ones wait, none is waited for.
	read
	// proposal requests are dropped by a leader that hands over.
	proposal
	// waiting requests propose something first, and may then wait for ever.
	waiting
)

// kindOf tells by the service and method, "/service/Method". What it does not
// know is free: a request too many that passes may fail, one too many that is
// waited for spoils every hand-over.
func kindOf(fullMethod string, req any) kind {
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	switch service {
	case "etcdserverpb.KV":
		return kindOfKV(method, req)
	case "etcdserverpb.Lease":
		if method == "LeaseGrant" || method == "LeaseRevoke" {
			return proposal
		}
		return read
	case "etcdserverpb.Auth":
		return proposal
	case "etcdserverpb.Cluster":
		if method == "MemberList" {
			return read
		}
		return proposal
	case "etcdserverpb.Maintenance":
		if method == "Alarm" || method == "Downgrade" {
			return proposal
		}
	case "v3lockpb.Lock", "v3electionpb.Election":
		return waiting
	}
	return free
}

func kindOfKV(method string, req any) kind {
	if r, ok := req.(*pb.RangeRequest); ok {
		if r.Serializable {
			return free
		}
		return read
	}
	if method == "Range" {
		return read
	}
	// A transaction that only reads is none that the client retries.
	return proposal
}
