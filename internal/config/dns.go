package config

import "github.com/quorate/quorate/internal/publish"

// Naming is under which DNS names the cluster can be found.
type Naming struct {
	DNS      string `name:"dns" env:"QUORATE_DNS" placeholder:"URL" help:"Publish the cluster's SRV and address records: route53://ZONE, cloudflare://ZONE, rfc2136://ZONE?server=HOST or googleclouddns://ZONE; parameters: prefix, ttl (seconds, 60), style (etcd, stups, stups-readme), name (etcd's --discovery-srv-name), and the provider's own. Credentials come from the provider's usual environment or a file, never from here. Default: none."`
	DNSAdopt bool   `type:"setting" name:"dns-adopt" env:"QUORATE_DNS_ADOPT" help:"Take over DNS names that exist and that no cluster has claimed, or a dead cluster of the same name."`
}

// Target is the parsed DNS; only a set and valid one has a target.
func (n Naming) Target() (publish.Target, error) { return publish.Parse(n.DNS) }

func (n Naming) check(p *problems) {
	if n.DNS == "" {
		if n.DNSAdopt {
			p.say("dns-adopt", "given, and dns is not")
		}
		return
	}
	_, err := n.Target()
	p.add("dns", err)
}

// Validate says everything that is wrong, each problem beginning with its key.
func (n Naming) Validate() []error {
	var p problems
	if n.DNS == "" {
		p.say("dns", "not given: want route53://example.org, or another provider")
	}
	n.check(&p)
	return p
}
