package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/firewall"
)

func TestAddressesOf(t *testing.T) {
	for source, want := range map[string]firewall.Addresses{
		"aws-tag://k=v?regions=a,b&address=private": firewall.Private,
		"aws-tag://k=v?regions=a,b&address=public":  firewall.Public,
		"aws-tag://k=v?regions=a,b":                 firewall.Public,
		"aws-tag://address=private":                 firewall.Public,
		"file:///peers.yaml":                        firewall.Public,
	} {
		if got := addressesOf(source); got != want {
			t.Errorf("%s: %d, want %d", source, got, want)
		}
	}
}

// TestFirewall: a real agent, whose source proves that a machine of another
// region is gone, takes the machine's rule away from a real API, and nothing
// else. What it adds the tests of package firewall show: an agent would call
// at public addresses.
func TestFirewall(t *testing.T) {
	moto.Start(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	must(t, err)
	client := ec2.NewFromConfig(cfg)
	group, err := client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: sdk.String("g"), Description: sdk.String("d"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: []types.Tag{{Key: sdk.String("quorate:firewall"), Value: sdk.String("alpha")}}}}})
	must(t, err)
	for source, why := range map[string]string{"9.9.9.9/32": "by hand", "3.250.0.1/32": "quorate:alpha:i-gone", "3.250.0.2/32": "quorate:beta:i-gone"} {
		_, err := client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId,
			IpPermissions: []types.IpPermission{{IpProtocol: sdk.String("tcp"), FromPort: sdk.Int32(2378), ToPort: sdk.Int32(2380),
				IpRanges: []types.IpRange{{CidrIp: sdk.String(source), Description: sdk.String(why)}}}}})
		must(t, err)
	}
	r := newRig(t, "--size", "1", "--cluster", "alpha", "--firewall", "quorate:firewall=alpha")
	a := r.machine("a", 71)
	r.writePeers(fmt.Sprintf("- {name: a, host: %s, region: us-east-1}\n", a.addr))
	a.start()
	left := func(ctx context.Context) map[string]bool {
		out, err := client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*group.GroupId}})
		must(t, err)
		sources := map[string]bool{}
		for _, p := range out.SecurityGroups[0].IpPermissions {
			for _, ip := range p.IpRanges {
				sources[*ip.CidrIp] = true
			}
		}
		return sources
	}
	r.eventually(30*time.Second, "the stale rule is gone", func() error {
		if left(t.Context())["3.250.0.1/32"] {
			return fmt.Errorf("it is there: %s", a.log())
		}
		return nil
	})
	if l := left(t.Context()); len(l) != 2 || !l["9.9.9.9/32"] || !l["3.250.0.2/32"] {
		t.Errorf("left are %v", l)
	}
	a.term()
}
