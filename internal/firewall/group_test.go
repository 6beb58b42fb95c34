package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// side is one region with its security group, and the keeper on one machine there.
type side struct {
	t      *testing.T
	client *ec2.Client
	cfg    aws.Config
	id     string
	keeper *Keeper
	log    *bytes.Buffer
}

// newSide makes a group of its own, tagged for the cluster.
func newSide(t *testing.T, region, clusterName, self string) *side {
	t.Helper()
	return namedSide(t, region, clusterName, clusterName, self)
}

func namedSide(t *testing.T, region, name, clusterName, self string) *side {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region))
	must(t, err)
	s := &side{t: t, cfg: cfg, client: ec2.NewFromConfig(cfg), log: &bytes.Buffer{}}
	out, err := s.client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), Description: aws.String("d"),
		VpcId: s.vpc(), TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup,
			Tags: []types.Tag{{Key: aws.String("quorate:firewall"), Value: aws.String(clusterName)}}}}})
	must(t, err)
	s.id = *out.GroupId
	s.keeper = &Keeper{Cluster: clusterName, Self: self, Group: Open(s.load, Which{Key: "quorate:firewall", Value: clusterName}), Log: slog.New(slog.NewTextHandler(s.log, nil))}
	return s
}

func (s *side) load(context.Context) (aws.Config, error) { return s.cfg, nil }

func (s *side) vpc() *string {
	out, err := s.client.DescribeVpcs(s.t.Context(), &ec2.DescribeVpcsInput{})
	must(s.t, err)
	return out.Vpcs[0].VpcId
}

// byHand adds a rule that is none of ours.
func (s *side) byHand(sources ...string) {
	for _, source := range sources {
		must(s.t, s.group().Add(s.t.Context(), []Rule{rule(source, "by hand")}))
	}
}

func (s *side) group() *Group {
	g := Open(s.load, Which{ID: s.id})
	g.id, g.client = s.id, machine.OpenEC2(s.cfg)
	return g
}

// wants the group to have exactly these sources, in any order.
func (s *side) wants(sources ...string) {
	s.t.Helper()
	rules, err := s.group().Rules(s.t.Context())
	must(s.t, err)
	got := map[string]bool{}
	for _, r := range rules {
		got[r.Source.String()] = true
	}
	for _, w := range sources {
		if !got[w] {
			s.t.Errorf("%s is not let in: %v", w, rules)
		}
	}
	if len(rules) != len(sources) {
		s.t.Errorf("%d rules, want %d: %v", len(rules), len(sources), rules)
	}
}

func known(peers ...cluster.Peer) cluster.View {
	v := cluster.View{Peers: peers, Authoritative: true}
	cluster.SortPeers(v.Peers)
	return v
}

// TestOnMoto: real EC2 calls; one emulator, a cluster for each case.
func TestOnMoto(t *testing.T) {
	moto.Start(t)
	for name, test := range map[string]func(*testing.T){"two regions": twoRegions, "full": full, "not one group": notOneGroup, "ambiguous": ambiguous, "run": run, "idempotent": idempotent} {
		t.Run(name, test)
	}
}

func twoRegions(t *testing.T) {
	a, b := newSide(t, "eu-central-1", "alpha", "a"), newSide(t, "eu-west-1", "alpha", "b")
	a.byHand("9.9.9.9/32")
	pa, pb := peer("a", "eu-central-1", "3.120.0.1", cluster.Running), peer("b", "eu-west-1", "2a05:d014::1", cluster.Running)
	both := func(v cluster.View) {
		t.Helper()
		must(t, a.keeper.Round(t.Context(), v))
		must(t, b.keeper.Round(t.Context(), v))
	}
	both(known(pa, pb))
	a.wants("9.9.9.9/32", "3.120.0.1/32", "2a05:d014::1/128")
	b.wants("3.120.0.1/32", "2a05:d014::1/128")

	pc := peer("c", "eu-west-1", "3.250.0.3", cluster.Running)
	pb.State = cluster.Terminating
	both(known(pa, pb, pc))
	a.wants("9.9.9.9/32", "3.120.0.1/32", "2a05:d014::1/128", "3.250.0.3/32")

	b.keeper.Self = "c" // b is going away, c is the next
	pb.State = cluster.Terminated
	both(known(pa, pb, pc))
	a.wants("9.9.9.9/32", "3.120.0.1/32", "3.250.0.3/32")

	list := known(pa) // of a source that cannot prove that c is gone
	list.Authoritative = false
	both(list)
	a.wants("9.9.9.9/32", "3.120.0.1/32", "3.250.0.3/32")
	both(known(pa))
	a.wants("9.9.9.9/32", "3.120.0.1/32")
	b.wants("3.120.0.1/32", "3.250.0.3/32") // nobody lives there to remove it
}

// full: EC2's limit is said with what to do about it; what is stale goes first.
func full(t *testing.T) {
	a := newSide(t, "eu-central-1", "beta", "a")
	must(t, a.keeper.Round(t.Context(), known(peer("a", "eu-central-1", "3.120.0.1", cluster.Running), peer("b", "eu-west-1", "3.250.0.1", cluster.Running))))
	for i := range 58 {
		a.byHand(fmt.Sprintf("9.9.9.%d/32", i))
	}
	next := known(peer("a", "eu-central-1", "3.120.0.1", cluster.Running), peer("c", "eu-west-1", "3.250.0.2", cluster.Running))
	must(t, a.keeper.Round(t.Context(), next))
	next.Peers = append(next.Peers, peer("d", "eu-west-1", "3.250.0.3", cluster.Running))
	err := a.keeper.Round(t.Context(), next)
	if err == nil || !strings.Contains(err.Error(), "security group "+a.id+" is full") || !strings.Contains(err.Error(), "60 unless raised") {
		t.Errorf("a full group: %v", err)
	}
}

func notOneGroup(t *testing.T) {
	a := newSide(t, "eu-central-1", "gamma", "a")
	v := known(peer("a", "eu-central-1", "3.120.0.1", cluster.Running))
	a.keeper.Group = Open(a.load, Which{Key: "quorate:firewall", Value: "nobody"})
	if err := a.keeper.Round(t.Context(), v); err == nil || !strings.Contains(err.Error(), "quorate:firewall=nobody: there are 0, want one") {
		t.Errorf("no group: %v", err)
	}
	dark := errors.New("no metadata yet")
	a.keeper.Group = Open(func(context.Context) (aws.Config, error) { return aws.Config{}, dark }, Which{ID: a.id})
	if err := a.keeper.Round(t.Context(), v); !errors.Is(err, dark) {
		t.Errorf("no configuration: %v", err)
	}
	a.keeper.Group = Open(a.load, Which{ID: "sg-00000000000000000"})
	if err := a.keeper.Round(t.Context(), v); err == nil || !strings.Contains(err.Error(), "sg-00000000000000000") {
		t.Errorf("no such id: %v", err)
	}
}

// ambiguous: of two groups none is taken.
func ambiguous(t *testing.T) {
	a, b := namedSide(t, "eu-central-1", "one", "zeta", "a"), namedSide(t, "eu-central-1", "two", "zeta", "a")
	err := a.keeper.Round(t.Context(), known(peer("a", "eu-central-1", "3.120.0.1", cluster.Running), peer("b", "eu-west-1", "3.250.0.1", cluster.Running)))
	if err == nil || !strings.Contains(err.Error(), "there are 2, want one") {
		t.Errorf("two groups: %v", err)
	}
	a.wants()
	b.wants()
}

func idempotent(t *testing.T) {
	a := newSide(t, "eu-central-1", "delta", "a")
	one := []Rule{rule("3.250.0.1/32", "quorate:delta:i-b")}
	for range 2 {
		must(t, a.group().Add(t.Context(), one))
	}
	a.wants("3.250.0.1/32")
	for range 2 {
		must(t, a.group().Remove(t.Context(), one))
	}
	a.wants()
}

// run: a change is acted on without waiting for the next round; a failure is
// logged once; an unknown view changes nothing.
func run(t *testing.T) {
	a := newSide(t, "eu-central-1", "epsilon", "a")
	pa, pb := peer("a", "eu-central-1", "3.120.0.1", cluster.Running), peer("b", "eu-west-1", "3.250.0.1", cluster.Running)
	var mu sync.Mutex
	view, there := known(pa, pb), true
	asked := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- a.keeper.Run(ctx, func() (cluster.View, bool) {
			mu.Lock()
			defer mu.Unlock()
			asked <- struct{}{}
			return view, there
		})
	}()
	<-asked
	<-asked // the first has been acted on
	a.wants("3.120.0.1/32", "3.250.0.1/32")
	mu.Lock()
	view, there = known(pa), false
	mu.Unlock()
	<-asked
	<-asked
	<-asked
	a.wants("3.120.0.1/32", "3.250.0.1/32")
	mu.Lock()
	there = true
	mu.Unlock()
	<-asked
	<-asked
	<-asked
	a.wants("3.120.0.1/32")
	cancel()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
	}
	a.keeper.say(fmt.Errorf("throttled"))
	a.keeper.say(fmt.Errorf("throttled"))
	a.keeper.say(nil)
	a.keeper.say(nil)
	if log := a.log.String(); strings.Count(log, "throttled") != 1 || strings.Count(log, "kept again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}
