package plan

import (
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// styleNames are a style's names below the cluster's domain.
type styleNames struct {
	server, client func(tls bool) string // of the SRV records
	all            string                // the addresses of all members; empty: the domain itself
	weight         string                // SRV priority and weight
}

func (n Naming) names() styleNames {
	fixed := func(name string) func(bool) string { return func(bool) string { return name } }
	switch n.Style {
	case StyleStups:
		return styleNames{fixed("_etcd-server._tcp"), fixed("_etcd-client._tcp"), "etcd-server", "1 1"}
	case StyleStupsReadme:
		return styleNames{fixed("_etcd-server._tcp"), fixed("_etcd._tcp"), "", "1 1"}
	}
	return styleNames{n.discovery("etcd-server"), n.discovery("etcd-client"), "etcd", "0 0"}
}

// discovery are the names that etcd and etcdctl look up (etcd's client/pkg/srv):
// first -ssl, then the service's name.
func (n Naming) discovery(service string) func(bool) string {
	return func(tls bool) string {
		name := "_" + service
		if tls {
			name += "-ssl"
		}
		if n.Service != "" {
			name += "-" + n.Service
		}
		return name + "._tcp"
	}
}

// memberLabel is a member's own name below the domain: its name, or where DNS
// would not take that, or it has another meaning, its id.
func memberLabel(m cluster.Member, names styleNames) string {
	label := strings.ToLower(m.Name)
	if label == names.all || !isHostName(label) {
		return "member-" + m.ID.String()
	}
	return label
}

// hostLabel is what a host's name consists of.
const hostLabel = "abcdefghijklmnopqrstuvwxyz0123456789-"

func isHostName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, hostLabel) != "" {
			return false
		}
	}
	return len(name) < 128
}
