package publish

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Owner is who has claimed a name. The claim is a TXT record below that name,
// not at it, so that it can stand beside any type.
type Owner struct {
	Cluster string            `json:"cluster"`
	Epoch   cluster.Epoch     `json:"epoch"`
	ID      cluster.ClusterID `json:"id"` // etcd's, which tells clusters of one name and epoch apart
}

const ownerLabel = "quorate-owner."

// ownerName is where the claim to a name is.
func ownerName(name string) string { return ownerLabel + name }

// ownedName is the name that a claim is to.
func ownedName(owner string) (string, bool) { return strings.CutPrefix(owner, ownerLabel) }

// text is the claim's one value.
func (o Owner) text() string {
	return fmt.Sprintf(`"heritage=quorate,cluster=%s,epoch=%d,id=%s"`, o.Cluster, o.Epoch, o.ID)
}

// readOwners reads a claim: whose every value is that text has written. Any
// other value beside these, a hand's, claims nothing.
func readOwners(s Set) (out []Owner) {
	for _, v := range s.Values {
		if o, ok := readOwner(v); ok && s.Type == "TXT" {
			out = append(out, o)
		}
	}
	return out
}

func readOwner(value string) (Owner, bool) {
	var o Owner
	for field := range strings.SplitSeq(strings.Trim(value, `"`), ",") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "cluster":
			o.Cluster = value
		case "epoch":
			n, _ := strconv.ParseUint(value, 10, 64) // text() must agree, below
			o.Epoch = cluster.Epoch(n)
		case "id":
			_ = o.ID.UnmarshalText([]byte(value)) // likewise
		}
	}
	return o, o.Cluster != "" && o.text() == value
}

// mayTakeAll says whether w may write to a name that all of these have claimed,
// or why not.
func (w Wish) mayTakeAll(claims []Owner) (why string) {
	for _, c := range claims {
		if why := w.mayTake(c); why != "" {
			return why
		}
	}
	return ""
}

// mayTake says whether w may write to a name that c has claimed, or why not. An
// earlier epoch's claim is taken whatever its id: each epoch's etcd has an id of
// its own, so a namesake's epoch cannot be told from one before ours (DESIGN.md).
func (w Wish) mayTake(c Owner) (why string) {
	switch {
	case c.Cluster != w.Owner.Cluster:
		return fmt.Sprintf("it belongs to cluster %s (epoch %d)", c.Cluster, c.Epoch)
	case w.AnyEpoch || c.Epoch < w.Owner.Epoch:
		return ""
	case c.Epoch > w.Owner.Epoch:
		return fmt.Sprintf("it belongs to epoch %d of this cluster, and ours is %d; or to another cluster that is called %s too (etcd cluster id %s, ours is %s)",
			c.Epoch, w.Owner.Epoch, c.Cluster, c.ID, w.Owner.ID)
	case c.ID != w.Owner.ID:
		return fmt.Sprintf("it belongs to another cluster that is called %s too (etcd cluster id %s, ours is %s)", c.Cluster, c.ID, w.Owner.ID)
	}
	return ""
}
