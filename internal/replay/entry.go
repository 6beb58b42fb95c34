package replay

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// v2Request is where etcd up to 3.5 kept requests of its old API in an entry.
// The only ones left tell of the members' names, which are new after a restore.
const v2Request protowire.Number = 2

var errNewer = hearsay{"it holds a request that this etcd does not know: replay it with the etcd that wrote it", ErrUnreplayable}

// decode is the request to apply, or nil for an entry that changes nothing that
// a restore is to bring back: a change of the members, what members say of
// themselves, the cluster's version, an election, a read.
func decode(e *raftpb.Entry) (*pb.InternalRaftRequest, error) {
	if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
		return nil, nil
	}
	if holds(e.GetData(), v2Request) {
		return nil, nil
	}
	var r pb.InternalRaftRequest
	if err := proto.Unmarshal(e.GetData(), &r); err != nil {
		return nil, fmt.Errorf("decoding it: %w", err)
	}
	switch {
	case len(r.ProtoReflect().GetUnknown()) > 0:
		return nil, errNewer
	case r.ClusterVersionSet != nil, r.ClusterMemberAttrSet != nil, r.DowngradeInfoSet != nil, r.DowngradeVersionTest != nil,
		r.Range != nil, r.AuthUserGet != nil, r.AuthRoleGet != nil, r.AuthStatus != nil: // etcd passes over these reads too
		return nil, nil
	}
	return &r, nil
}

// holds says whether a message has the field, without knowing its type.
func holds(message []byte, field protowire.Number) bool {
	for len(message) > 0 {
		number, _, width := protowire.ConsumeField(message)
		if width < 0 {
			return false
		}
		if number == field {
			return true
		}
		message = message[width:]
	}
	return false
}
