package publish

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]Target{
		"route53://Example.org.": {Provider: "route53", Zone: "example.org", Style: "etcd", TTL: time.Minute},
		"route53://example.org?prefix=Prod.eu&ttl=30&style=stups&id=Z1&region=eu-central-1": {
			Provider: "route53", Zone: "example.org", Prefix: "prod.eu", TTL: 30 * time.Second, Style: "stups", ID: "Z1", Region: "eu-central-1"},
		"rfc2136://example.org?server=ns&key-file=/k&ttl=5m&name=main": {
			Provider: "rfc2136", Zone: "example.org", Style: "etcd", Service: "main", TTL: 5 * time.Minute, Server: "ns:53", KeyFile: "/k"},
		"rfc2136://example.org?server=[::1]:5353":     {Provider: "rfc2136", Zone: "example.org", Style: "etcd", TTL: time.Minute, Server: "[::1]:5353"},
		"rfc2136://example.org?server=2001:db8::1":    {Provider: "rfc2136", Zone: "example.org", Style: "etcd", TTL: time.Minute, Server: "[2001:db8::1]:53"},
		"rfc2136://example.org?server=[2001:db8::1]":  {Provider: "rfc2136", Zone: "example.org", Style: "etcd", TTL: time.Minute, Server: "[2001:db8::1]:53"},
		"rfc2136://example.org?server=NS1.x.org.:54":  {Provider: "rfc2136", Zone: "example.org", Style: "etcd", TTL: time.Minute, Server: "NS1.x.org.:54"},
		"cloudflare://example.org?token-file=/t&id=a": {Provider: "cloudflare", Zone: "example.org", Style: "etcd", TTL: time.Minute, ID: "a", TokenFile: "/t"},
		"googleclouddns://example.org?project=p":      {Provider: "googleclouddns", Zone: "example.org", Style: "etcd", TTL: time.Minute, Project: "p"},
	} {
		if got, err := Parse(raw); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
		}
	}
	for _, name := range []string{strings.Repeat("n", 46), "n." + strings.Repeat("n", 60)} { // 63 in the label at most
		if got, err := Parse("route53://example.org?name=" + name); err != nil || got.Service != name {
			t.Errorf("name=%s: %+v, %v", name, got, err)
		}
	}
	if got, err := Parse("route53://example.org?private=true"); err != nil || got.Private == nil || !*got.Private {
		t.Errorf("private=true: %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                      "unknown provider",
		"example.org":                           "unknown provider",
		"powerdns://example.org":                "want one of cloudflare, googleclouddns, rfc2136, route53",
		"route53://":                            `zone "": want a DNS name`,
		"route53://-a.org":                      `zone "-a.org": want a DNS name`,
		"route53://example.org:53":              "want nothing but a zone",
		"route53://example.org/a":               "want nothing but a zone",
		"route53://example.org#a":               "want nothing but a zone",
		"route53://example.org?ttl=0&style=x":   "style \"x\": want etcd, stups, stups-readme\nroute53: ttl \"0\": want whole seconds, 1 to 86400",
		"route53://example.org?ttl=1.5s":        "want whole seconds",
		"route53://example.org?ttl=25h":         "want whole seconds",
		"route53://example.org?private=perhaps": `private "perhaps": want true or false`,
		"route53://example.org?prefix=a..b":     `prefix "a..b": want a DNS name`,
		"route53://example.org?name=a%20b":      `name "a b": want a DNS name`,
		"route53://example.org?name=" + strings.Repeat("n", 47):                                           `name "` + strings.Repeat("n", 47) + `": too long by 1: etcd looks up _etcd-server-ssl-n`,
		"route53://example.org?name=a." + strings.Repeat("n.", 95) + "&prefix=" + strings.Repeat("p", 60): `name "a.n.`, // each is a name; all together are none
		"route53://example.org?style=stups&name=a":                                                        "style stups has no service names",
		"route53://example.org?ttl=1&ttl=2":                                                               `parameter "ttl" is given 2 times`,
		"route53://example.org?colour=red":                                                                `unknown parameter "colour": want prefix, ttl, style, name, id, private, region`,
		"route53://example.org?a=%zz":                                                                     "malformed parameters",
		"rfc2136://example.org":                                                                           "server: not given",
		"rfc2136://example.org?server=":                                                                   `server "": want host or host:port`,
		"rfc2136://example.org?server=:53":                                                                `server ":53": want host or host:port`,
		"rfc2136://example.org?server=127.0.0.1:99999":                                                    `server "127.0.0.1:99999": want host or host:port`,
		"rfc2136://example.org?server=127.0.0.1:0":                                                        `server "127.0.0.1:0": want host or host:port`,
		"rfc2136://example.org?server=ns:":                                                                `server "ns:": want host or host:port`,
		"rfc2136://example.org?server=:::5":                                                               `server ":::5": want host or host:port`,
		"rfc2136://example.org?server=256.0.0.1:x":                                                        `want host or host:port`,
		"rfc2136://example.org?server=a&server=b":                                                         `parameter "server" is given 2 times`,
		"cloudflare://example.org?ttl=30":                                                                 "60 seconds or more",
		"rfc2136://example.org?server=ns&key=hunter2":                                                     "QUORATE_DNS_TSIG",
		"cloudflare://example.org?api_token=hunter2":                                                      "CLOUDFLARE_API_TOKEN",
		"route53://AKIA:hunter2@example.org":                                                              "AWS environment",
		"googleclouddns://example.org?Credentials=hunter2":                                                "GOOGLE_APPLICATION_CREDENTIALS",
		"rfc2136://example.org?server=ns&tsig=hmac-sha256:k:hunter2":                                      "do not belong in the URL",
		"route53://user:hunter2@exa mple.org":                                                             "not a URL",
	} {
		_, err := Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if strings.Count(want, "\n") == 0 && strings.Contains(raw, "server=") && err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one fault, and more is said: %v", raw, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the secret: %v", raw, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("route53://example.org?prefix=a&ttl=60")
	f.Fuzz(func(t *testing.T, raw string) {
		if target, err := Parse(raw); err == nil && (target.Zone == "" || target.TTL < time.Second) {
			t.Errorf("%q is taken as %+v", raw, target)
		}
	})
}
