package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"go.etcd.io/etcd/client/pkg/v3/srv"
	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/clustertest/named"
)

// bind is a name server with example.org, and the --dns URL of that.
func bind(t testing.TB, more string) (*named.Server, string) {
	t.Helper()
	s := named.Start(t, "example.org")
	file := filepath.Join(t.TempDir(), "tsig.key")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "key %q { algorithm %s; secret %q; };\n", s.KeyName, strings.TrimSuffix(s.KeyAlgorithm, "."), s.KeySecret), 0o600))
	return s, "rfc2136://example.org?server=" + s.Addr + "&key-file=" + file + more
}

// recordsOf are the records of a zone without claims and TTLs: "a A 127.0.0.11".
func recordsOf(t testing.TB, s *named.Server) []string {
	t.Helper()
	var out []string
	for _, line := range s.Records(t, "example.org") {
		if f := strings.Fields(line); f[3] != "TXT" {
			out = append(out, strings.ReplaceAll(f[0]+" "+strings.Join(f[3:], " "), ".example.org.", ""))
		}
	}
	slices.Sort(out)
	return out
}

// published are the records of these hosts, as recordsOf has them.
func (r *rig) published(hosts ...string) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h+" A "+r.nodes[h].addr, "etcd A "+r.nodes[h].addr, "_etcd-server._tcp SRV 0 0 2380 "+h, "_etcd-client._tcp SRV 0 0 2379 "+h)
	}
	slices.Sort(out)
	return out
}

func (r *rig) shows(limit time.Duration, s *named.Server, hosts ...string) time.Duration {
	r.t.Helper()
	return r.eventually(limit, fmt.Sprintf("the zone shows %v", hosts), func() error {
		if got := recordsOf(r.t, s); !slices.Equal(got, r.published(hosts...)) {
			return fmt.Errorf("it shows %v", got)
		}
		return nil
	})
}

// inEtcd are the names in etcd's list, as any of the hosts tells.
func (r *rig) inEtcd(hosts ...string) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	list, err := r.client(hosts...).MemberList(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, m := range list.Members {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

// TestDNS is a cluster's life in a zone of BIND's: published once it is ready,
// found by etcd's own discovery, withdrawn a TTL before a member goes, left
// alone in an outage, and cleaned up.
func TestDNS(t *testing.T) {
	const ttl = 3 * time.Second
	s, url := bind(t, "&ttl=3")
	r := newRig(t, "--dns", url)
	a, b, c := r.trio()
	for _, h := range []*host{a, b, c} {
		h.start()
	}
	r.voters(60*time.Second, "a", "b", "c")
	t.Logf("published %s after all were voters", r.shows(20*time.Second, s, "a", "b", "c").Round(time.Millisecond))

	t.Run("etcd's discovery finds the cluster", func(t *testing.T) {
		old := net.DefaultResolver
		defer func() { net.DefaultResolver = old }()
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Addr)
		}}
		found, err := srv.GetClient("etcd-client", "example.org", "")
		if err != nil || len(found.Endpoints) != 3 {
			t.Fatalf("etcdctl --discovery-srv would find %+v, %v", found, err)
		}
		self, err := types.NewURLs([]string{a.url(2380)})
		must(t, err)
		peers, err := srv.GetCluster("http", "etcd-server", "a", "example.org", self)
		if err != nil || len(peers) != 3 || !slices.ContainsFunc(peers, func(p string) bool { return p == "a=http://a.example.org:2380" }) {
			t.Errorf("etcd --discovery-srv would find %v, %v", peers, err)
		}
	})

	t.Run("plan, sync and wait", func(t *testing.T) {
		agent := strings.TrimPrefix(b.url(2378), "http://")
		s.Remove(t, "example.org", "a.example.org. 3 IN A "+a.addr)
		s.Add(t, "example.org", "etcd.example.org. 3 IN A 192.0.2.1")
		out, errOut, code := r.quorate("dns", "plan", "--dns", url, "--agent", agent)
		if code != 0 || !strings.Contains(out, "a.example.org A +"+a.addr) || !strings.Contains(out, "etcd.example.org A -192.0.2.1") {
			t.Errorf("plan: %d %s %s", code, out, errOut)
		}
		if out, errOut, code = r.quorate("dns", "sync", "--dns", url, "--agent", agent); code != 0 {
			t.Errorf("sync: %d %s %s", code, out, errOut)
		}
		if out, errOut, code = r.quorate("dns", "plan", "--dns", url, "--agent", agent); code != 0 || out != "nothing to change\n" {
			t.Errorf("plan after sync: %d %s %s", code, out, errOut)
		}
		resolver := named.StartResolver(t, s)
		if out, errOut, code = r.quorate("dns", "wait", "--dns", url, "--agent", agent, "--resolver", resolver.Addr, "--within", "20s"); code != 0 || !strings.Contains(out, allShown) {
			t.Errorf("wait: %d %s %s", code, out, errOut)
		}
		elsewhere := named.Start(t, "example.org")
		out, errOut, code = r.quorate("dns", "wait", "--dns", url, "--agent", agent, "--resolver", elsewhere.Addr, "--within", "2s")
		if code != 1 || !strings.Contains(out, "resolver "+elsewhere.Addr+" lacks ") || !strings.Contains(errOut, "not within 2s") {
			t.Errorf("wait for a resolver that does not know: %d %s %s", code, out, errOut)
		}
	})

	t.Run("who leaves is withdrawn a TTL before", func(t *testing.T) {
		if _, errOut, code := r.quorate("leave", "--yes", "--agent", strings.TrimPrefix(c.url(2378), "http://")); code != 0 {
			t.Fatal(errOut)
		}
		r.shows(20*time.Second, s, "a", "b")
		withdrawn := time.Now()
		if got := r.inEtcd("a", "b"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("withdrawn when the members are %v already", got)
		}
		r.eventually(30*time.Second, "c is removed", func() error {
			if got := r.inEtcd("a", "b"); !slices.Equal(got, []string{"a", "b"}) {
				return fmt.Errorf("members %v", got)
			}
			return nil
		})
		if waited := time.Since(withdrawn); waited < ttl-time.Second {
			t.Errorf("removed %s after the withdrawal, and resolvers may keep it for %s", waited, ttl)
		}
	})

	t.Run("an outage withdraws nothing", func(t *testing.T) {
		b.crash()
		r.eventually(30*time.Second, "a sees that there is no leader", func() error {
			if got, err := a.report(); err != nil || got.Etcd.Healthy {
				return fmt.Errorf("%v %v", got.Reason, err)
			}
			return nil
		})
		if _, errOut, code := r.quorate("dns", "sync", "--dns", url, "--agent", strings.TrimPrefix(a.url(2378), "http://")); code != 1 || !strings.Contains(errOut, "left as it is") {
			t.Errorf("sync without a quorum: %d %s", code, errOut)
		}
		a.crash()
		r.shows(0, s, "a", "b")
	})

	t.Run("cleaned up", func(t *testing.T) {
		c.crash()
		s.Add(t, "example.org", "www.example.org. 60 IN A 192.0.2.1")
		if out, errOut, code := r.quorate("dns", "sync", "--delete", "--yes", "--cluster", "test", "--dns", url); code != 0 {
			t.Errorf("delete: %d %s %s", code, out, errOut)
		}
		if got := s.Records(t, "example.org"); len(got) != 1 || !strings.HasPrefix(got[0], "www.example.org.") {
			t.Errorf("left: %v", got)
		}
	})
}

// TestRoute53 is the same against the Route 53 of moto, and where the zone
// cannot be changed any more: a removal waits for it, but not for ever.
func TestRoute53(t *testing.T) {
	endpoint := moto.Start(t)
	cfg, err := awsconfig.LoadDefaultConfig(t.Context())
	must(t, err)
	api := route53.NewFromConfig(cfg)
	zone, err := api.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String("example.org"), CallerReference: aws.String(endpoint)})
	must(t, err)
	list := func() (out []string) {
		sets, err := api.ListResourceRecordSets(t.Context(), &route53.ListResourceRecordSetsInput{HostedZoneId: zone.HostedZone.Id})
		must(t, err)
		for _, s := range sets.ResourceRecordSets {
			for _, v := range s.ResourceRecords {
				if s.Type == "A" || s.Type == "SRV" {
					out = append(out, strings.ReplaceAll(aws.ToString(s.Name)+" "+string(s.Type)+" "+aws.ToString(v.Value), ".prod.example.org.", ""))
				}
			}
		}
		slices.Sort(out)
		return out
	}
	r := newRig(t, "--dns", "route53://example.org?prefix=prod&ttl=2")
	a, b, c := r.trio()
	for _, h := range []*host{a, b, c} {
		h.start()
	}
	shows := func(hosts ...string) {
		t.Helper()
		r.eventually(60*time.Second, fmt.Sprintf("Route 53 shows %v", hosts), func() error {
			if got := list(); !slices.Equal(got, r.published(hosts...)) {
				return fmt.Errorf("%v", got)
			}
			return nil
		})
	}
	shows("a", "b", "c")
	if _, errOut, code := r.quorate("leave", "--yes", "--agent", strings.TrimPrefix(c.url(2378), "http://")); code != 0 {
		t.Fatal(errOut)
	}
	shows("a", "b")
	r.eventually(30*time.Second, "c is removed", func() error {
		if got := r.inEtcd("a", "b"); !slices.Equal(got, []string{"a", "b"}) {
			return errors.New(strings.Join(got, " "))
		}
		return nil
	})
	a.crash()
	b.crash()
	if out, errOut, code := r.quorate("dns", "sync", "--delete", "--yes", "--cluster", "test", "--dns", "route53://example.org?prefix=prod"); code != 0 {
		t.Errorf("delete: %d %s %s", code, out, errOut)
	}
	if left := list(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
