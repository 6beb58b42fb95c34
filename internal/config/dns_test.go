package config

import (
	"strings"
	"testing"
)

func TestNaming(t *testing.T) {
	for name, row := range map[string]struct {
		naming Naming
		want   string // of the first problem; empty: none
	}{
		"good":               {Naming{DNS: "route53://example.org"}, ""},
		"none":               {Naming{}, "dns: not given"},
		"two problems":       {Naming{DNS: "route53://example.org?ttl=0&style=x"}, `dns: route53: style "x"`},
		"adopt without dns":  {Naming{DNSAdopt: true}, "dns: not given"},
		"a secret is hidden": {Naming{DNS: "rfc2136://example.org?server=ns&key=hunter2"}, "dns: rfc2136: parameter \"key\": credentials do not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			got := row.naming.Validate()
			switch {
			case row.want == "" && len(got) > 0:
				t.Errorf("%v", got)
			case row.want != "" && (len(got) == 0 || !strings.HasPrefix(got[0].Error(), row.want) || strings.Contains(got[0].Error(), "hunter2")):
				t.Errorf("%v, want %s", got, row.want)
			}
		})
	}
	if got := (Naming{DNS: "route53://example.org?ttl=0&style=x"}).Validate(); len(got) != 2 {
		t.Errorf("not all problems at once: %v", got)
	}
}
