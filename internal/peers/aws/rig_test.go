package aws

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/peers/entry"
)

const home, abroad = "us-east-1", "eu-west-1"

var ports = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

// rig is an AWS with faults to order.
type rig struct {
	*testing.T
	*awsproxy.Proxy
}

// TestOnMoto is every test that needs an AWS, on one emulator, which forgets in
// between.
func TestOnMoto(t *testing.T) {
	endpoint := moto.Start(t)
	for name, run := range map[string]func(rig){
		"GroupIsASource":      groupIsASource,
		"DoubtIsUnknown":      doubtIsUnknown,
		"StatesOfAGroup":      statesOfAGroup,
		"TerminatedByHand":    terminatedByHand,
		"StoppedIsNotGone":    stoppedIsNotGone,
		"StandbyKeepsItsVote": standbyKeepsItsVote,
		"Addresses":           addresses,
		"OwnGroupAndSelf":     ownGroupAndSelf,
		"TagIsASource":        tagIsASource,
		"TagAcrossGroups":     tagAcrossGroups,
		"TagDoubtIsUnknown":   tagDoubtIsUnknown,
		"OwnTag":              ownTag,
		"HeldAnswers":         heldAnswers,
		"Hanging":             hanging,
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := http.Post(endpoint+"/moto-api/reset", "", nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
			run(rig{t, awsproxy.New(t, endpoint)})
		})
	}
}

// source asks anew at each View.
func (r rig) source(raw string) *Source {
	r.Helper()
	s, err := Open(raw, ports)
	if err != nil {
		r.Fatal(err)
	}
	s.at.every = 0
	return s
}

func (r rig) view(s *Source) cluster.View {
	r.Helper()
	v, err := s.View(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// unknown wants an error with these words and nothing else.
func (r rig) unknown(s *Source, want string) {
	r.Helper()
	if v, err := s.View(r.Context()); err == nil || !strings.Contains(err.Error(), want) || len(v.Peers) > 0 || v.Authoritative {
		r.Errorf("got %+v, %v; want an error alone: %q", v, err, want)
	}
}

func (r rig) ec2(region string) *ec2.Client {
	cfg, err := machine.Load(r.Context(), region)
	if err != nil {
		r.Fatal(err)
	}
	return ec2.NewFromConfig(cfg)
}

func (r rig) groups(region string) *autoscaling.Client {
	cfg, err := machine.Load(r.Context(), region)
	if err != nil {
		r.Fatal(err)
	}
	return autoscaling.NewFromConfig(cfg)
}

// machines are EC2's own words on the instances, by id.
func (r rig) machines(region string) map[string]ec2types.Instance {
	r.Helper()
	out, err := r.ec2(region).DescribeInstances(r.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		r.Fatal(err)
	}
	all := map[string]ec2types.Instance{}
	for _, res := range out.Reservations {
		for _, i := range res.Instances {
			all[*i.InstanceId] = i
		}
	}
	return all
}

// want is the view of these instances, all running at their private address.
func (r rig) want(region, group string, size int, ids []string) cluster.View {
	r.Helper()
	v := cluster.View{Authoritative: true, Size: size}
	machines := r.machines(region)
	for _, id := range ids {
		m := machines[id]
		v.Peers = append(v.Peers, cluster.Peer{ID: id, Name: id, Host: *m.PrivateIpAddress, Zone: *m.Placement.AvailabilityZone, Region: region,
			State: cluster.Running, Launched: m.LaunchTime.UTC(), Group: group, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378})
	}
	cluster.SortPeers(v.Peers)
	return v
}

// launch starts instances in no group, with a tag.
func (r rig) launch(region, key, value string, n int32) []string {
	r.Helper()
	out, err := r.ec2(region).RunInstances(r.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), MinCount: &n, MaxCount: &n,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: &key, Value: &value}}}}})
	if err != nil {
		r.Fatal(err)
	}
	var ids []string
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

func (r rig) tag(region, key, value string, ids ...string) {
	r.Helper()
	if _, err := r.ec2(region).CreateTags(r.Context(), &ec2.CreateTagsInput{Resources: ids, Tags: []ec2types.Tag{{Key: &key, Value: &value}}}); err != nil {
		r.Fatal(err)
	}
}

func (r rig) terminate(region string, ids ...string) {
	r.Helper()
	if _, err := r.ec2(region).TerminateInstances(r.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
		r.Fatal(err)
	}
}

func names(v cluster.View) []string {
	var all []string
	for _, p := range v.Peers {
		all = append(all, p.Name)
	}
	slices.Sort(all)
	return all
}

func sorted(ids ...string) []string { return slices.Sorted(slices.Values(ids)) }
