package cluster

import (
	"fmt"
	"slices"
	"strconv"
)

// MemberID is etcd's id of a member; zero is none. It prints and travels as
// 16 hexadecimal digits or fewer, as etcdctl prints it.
type MemberID uint64

func (id MemberID) String() string { return strconv.FormatUint(uint64(id), 16) }

// MarshalText writes the id as hexadecimal.
func (id MemberID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *MemberID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("reading member id %q: want hexadecimal", b)
	}
	*id = MemberID(n)
	return nil
}

// ClusterID is etcd's id of a cluster: a hash of its token and founders.
type ClusterID uint64

func (id ClusterID) String() string { return strconv.FormatUint(uint64(id), 16) }

// MarshalText writes the id as hexadecimal.
func (id ClusterID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ClusterID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("reading cluster id %q: want hexadecimal", b)
	}
	*id = ClusterID(n)
	return nil
}

// Member is an entry in etcd's own membership.
type Member struct {
	ID         MemberID `json:"id"`
	Name       string   `json:"name"` // empty until the member has started and said its name
	PeerURLs   []string `json:"peer_urls"`
	ClientURLs []string `json:"client_urls,omitempty"`
	Learner    bool     `json:"learner,omitempty"`
}

// Started says that the member has run at least once.
func (m Member) Started() bool { return m.Name != "" }

// Listens says that u is one of the member's peer URLs.
func (m Member) Listens(u string) bool { return slices.Contains(m.PeerURLs, u) }

// Label names the member for people: its name, else its URL.
func (m Member) Label() string {
	switch {
	case m.Name != "":
		return m.Name
	case len(m.PeerURLs) > 0:
		return m.PeerURLs[0]
	}
	return m.ID.String()
}

// Voters are the members that vote.
func Voters(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Learner })
}

// Learners are the members that only follow.
func Learners(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !m.Learner })
}

// ByID finds a member.
func ByID(members []Member, id MemberID) (Member, bool) {
	for _, m := range members {
		if m.ID == id && id != 0 {
			return m, true
		}
	}
	return Member{}, false
}

// Quorum is how many of n voters must agree: n/2+1, and 0 of none.
func Quorum(n int) int {
	if n <= 0 {
		return 0
	}
	return n/2 + 1
}

// Tolerance is how many of the healthy voters may fail before the quorum of
// voters is lost; negative when it is lost already.
func Tolerance(voters, healthy int) int { return healthy - Quorum(voters) }

// RemovalKeepsQuorum says that after one voter goes, the healthy that remain
// still are a quorum of the voters that remain. healthyAfter must not count
// the voter that goes.
func RemovalKeepsQuorum(votersBefore, healthyAfter int) bool {
	return votersBefore > 1 && healthyAfter >= Quorum(votersBefore-1)
}
