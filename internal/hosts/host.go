// Package hosts decides about machines that can only be reached by SSH: whether
// they are fit for a cluster, what each of them lacks, and in which order they
// are changed. All of it is functions from data to data; who looks and who acts
// is in internal/hosts/probe and internal/hosts/deploy.
package hosts

import (
	"errors"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/peers/entry"
)

// Host is one machine.
type Host struct {
	Name string // its node's name
	// Address is where the other nodes and the clients reach it: an IP address or
	// a DNS name, without a port.
	Address string
	// Dest is what ssh is told: an address, a name, or an alias of ssh_config.
	Dest string
	// Aliased says that Address was not given apart from Dest, so that ssh_config
	// may know a better one.
	Aliased bool
}

// Parse reads NAME=ADDRESS or NAME=ADDRESS@DESTINATION, and says everything
// that is wrong.
func Parse(items []string) ([]Host, error) {
	var out []Host
	var problems []error
	seen := map[string]string{}
	for _, item := range items {
		h, err := parse(strings.TrimSpace(item))
		if err != nil {
			problems = append(problems, fmt.Errorf("%q: %w", item, err))
			continue
		}
		shared := false // what has one address, has one destination as well: that is one fault
		for _, key := range []string{"name " + h.Name, "address " + h.Address, "SSH destination " + h.Dest} {
			if other, twice := seen[key]; twice && !shared {
				shared = strings.HasPrefix(key, "address ")
				problems = append(problems, fmt.Errorf("%q: %s is in %q too", item, key, other))
			}
			seen[key] = item
		}
		out = append(out, h)
	}
	if len(items) == 0 {
		problems = append(problems, errors.New("not given: want a=10.0.0.1,b=10.0.0.2,c=10.0.0.3"))
	}
	return out, errors.Join(problems...)
}

func parse(item string) (Host, error) {
	name, at, ok := strings.Cut(item, "=")
	if !ok {
		return Host{}, errors.New("want NAME=ADDRESS or NAME=ADDRESS@SSH-DESTINATION")
	}
	address, dest, apart := strings.Cut(strings.TrimSpace(at), "@")
	address, err := entry.Host(address)
	if err := errors.Join(entry.CheckName(name), err); err != nil {
		return Host{}, err
	}
	if !apart {
		return Host{Name: name, Address: address, Dest: address, Aliased: true}, nil
	}
	if dest == "" || strings.HasPrefix(dest, "-") || strings.ContainsAny(dest, " \t\n'\"") {
		return Host{}, fmt.Errorf("SSH destination %q: want a host name, an address or an alias", dest)
	}
	return Host{Name: name, Address: address, Dest: dest}, nil
}

// Names are the hosts' names, in their order.
func Names(all []Host) []string {
	out := make([]string, len(all))
	for i, h := range all {
		out[i] = h.Name
	}
	return out
}
