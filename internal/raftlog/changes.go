package raftlog

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// harmless are the fields of etcd's InternalRaftRequest that change neither
// keys, leases nor users: its id and header, reads that go through the log,
// the members' attributes and the cluster's version.
var harmless = []protowire.Number{1, 100, // id, header
	3,          // range
	1012, 1013, // authenticate, auth_status
	1102, 1106, 1107, 1202, // auth_user_get, auth_user_list, auth_role_list, auth_role_get
	1300, 1301, 1302, 9900, // cluster_version_set, cluster_member_attr_set, downgrade_info_set, downgrade_version_test
}

// Changes says whether an entry may change what a restore is to bring back.
// Changes of the membership, elections and reads do not: they are shipped with
// what comes next. What it does not understand may.
func Changes(e *raftpb.Entry) bool {
	if e.GetType() != raftpb.EntryNormal {
		return false
	}
	for b := e.GetData(); len(b) > 0; {
		field, _, width := protowire.ConsumeField(b)
		if width < 0 || !slices.Contains(harmless, field) {
			return true
		}
		b = b[width:]
	}
	return false
}
