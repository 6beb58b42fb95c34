package fleettest

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/firewall"
	"github.com/quorate/quorate/internal/stack"
)

// recorded are the IAM actions that the agents of all fleets have used.
var recorded = map[string]int{}

// exercised are the features whose every action the fleets must use. Firewall is
// not: it lets no loopback address in, so that it only looks here, and
// TestFirewallPrivilege has it change rules. The others' calls are not quorate's,
// but of the AWS command line at a machine's first boot, which these machines
// do not have:
//   - TLS: certify.sh of internal/stack/boot runs `aws ssm get-parameter`;
//     TestCertify there runs that script with the real program against moto;
//   - Install: fetch.sh runs `aws s3 cp`, whose HeadObject and GetObject both need
//     s3:GetObject; TestFetch there runs that script, from https:// alone;
//   - KMS: nobody calls it. S3 and SSM do so for whoever reads or writes what the
//     key encrypts, and AWS checks the permission of that caller; moto does not.
var exercised = []stack.Feature{stack.Discovery, stack.Store, stack.Lifecycle, stack.Signal, stack.Condemn, stack.Metrics, stack.Messages,
	stack.DNS}

// TestFleet is everything: the two fleets, the second while the first waits for a
// minute to pass, and then what they were allowed to do.
func TestFleet(t *testing.T) {
	t.Run("one region", testOneRegion)
	if !t.Failed() {
		t.Run("least privilege", testLeastPrivilege)
	}
}

// testLeastPrivilege: the policy holds every action that was used, and every
// action of the policy was used.
func testLeastPrivilege(t *testing.T) {
	allowed := stack.Actions(append(exercised, stack.Firewall)...)
	for action, n := range recorded {
		if !slices.Contains(allowed, action) {
			t.Errorf("%s was used %d times, and no feature's policy allows it", action, n)
		}
	}
	for _, action := range stack.Actions(exercised...) {
		if recorded[action] == 0 {
			t.Errorf("the policy allows %s, and nothing has used it", action)
		}
	}
}

// TestFirewallPrivilege: adding and removing rules uses every action of the
// firewall's policy, and no other.
func TestFirewallPrivilege(t *testing.T) {
	endpoint := moto.Start(t)
	proxy, c := awsproxy.New(t, endpoint), newCloud(t, endpoint, home)
	tags := []types.Tag{{Key: aws.String(stack.FirewallTag), Value: aws.String("fleet")}}
	_, err := c.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("fleet"), Description: aws.String("machines"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: tags}}})
	must(t, err)
	load := func(ctx context.Context) (aws.Config, error) {
		return config.LoadDefaultConfig(ctx, config.WithRegion(home))
	}
	group := firewall.Open(load, firewall.Which{Key: stack.FirewallTag, Value: "fleet"})
	keeper := firewall.Keeper{Cluster: "fleet", Self: "a", Addresses: firewall.Private, Group: group, Log: slog.New(slog.DiscardHandler)}
	at := func(name, region, host string) cluster.Peer {
		return cluster.Peer{ID: "i-" + name, Name: name, Host: host, Region: region, State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
	}
	here, there := at("a", home, "10.0.0.1"), at("b", abroad, "10.1.0.1")
	for _, step := range []struct {
		peers []cluster.Peer
		rules int
	}{{[]cluster.Peer{here, there}, 1}, {[]cluster.Peer{here}, 0}} {
		must(t, keeper.Round(t.Context(), cluster.View{Authoritative: true, Peers: step.peers}))
		if rules, err := group.Rules(t.Context()); err != nil || len(rules) != step.rules {
			t.Fatalf("rules %v, want %d: %v", rules, step.rules, err)
		}
	}
	var used []string
	for _, call := range proxy.Calls() {
		used = append(used, action(call))
	}
	slices.Sort(used)
	if used, want := slices.Compact(used), stack.Actions(stack.Firewall); !slices.Equal(used, want) {
		t.Errorf("the firewall has used %v, and its policy allows %v", used, want)
	}
}

// record keeps what the agents of a fleet have asked for.
func (f *fleet) record() {
	defer func() { f.whole.Log(recorded) }()
	for _, c := range f.proxy.Calls() {
		recorded[action(c)]++
	}
}

// action is the IAM action that AWS checks for a call.
func action(c awsproxy.Call) string {
	switch c.Service {
	case "s3":
		return "s3:" + objectAction(c)
	case "route53":
		return "route53:" + recordAction(c.Action)
	case "monitoring":
		return "cloudwatch:" + c.Action
	}
	return c.Service + ":" + c.Action
}

func recordAction(request string) string {
	switch {
	case strings.Contains(request, "/hostedzonesbyname"):
		return "ListHostedZonesByName"
	case strings.HasPrefix(request, "GET ") && strings.HasSuffix(strings.TrimSuffix(request, "/"), "/rrset"):
		return "ListResourceRecordSets"
	case strings.HasPrefix(request, "POST ") && strings.HasSuffix(strings.TrimSuffix(request, "/"), "/rrset"):
		return "ChangeResourceRecordSets"
	case strings.HasPrefix(request, "GET ") && strings.Contains(request, "/change/"):
		return "GetChange"
	}
	return request
}

func objectAction(c awsproxy.Call) string {
	method, path, _ := strings.Cut(c.Action, " ")
	_, key, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case key == "" && method == http.MethodGet, key == "" && method == http.MethodHead:
		return "ListBucket"
	case key == "":
		return "on a bucket: " + c.Action
	case method == http.MethodGet, method == http.MethodHead:
		return "GetObject"
	case method == http.MethodDelete && c.Params.Has("uploadId"):
		return "AbortMultipartUpload"
	case method == http.MethodDelete:
		return "DeleteObject"
	case method == http.MethodPut, method == http.MethodPost: // in one piece or several
		return "PutObject"
	}
	return c.Action
}
