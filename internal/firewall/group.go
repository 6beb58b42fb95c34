package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	machine "github.com/quorate/quorate/internal/aws"
)

// Which names a security group: by its id, or by a tag that exactly one group
// of the region has.
type Which struct {
	ID         string
	Key, Value string
}

// Parse reads sg-… or KEY=VALUE; the value may hold more equals signs.
func Parse(text string) (Which, error) {
	key, value, tagged := strings.Cut(text, "=")
	switch {
	case tagged && key != "" && value != "":
		return Which{Key: key, Value: value}, nil
	case !tagged && strings.HasPrefix(text, "sg-") && len(text) > len("sg-"):
		return Which{ID: text}, nil
	}
	return Which{}, fmt.Errorf("%q: want a security group's id, sg-…, or a tag that one group has, KEY=VALUE", text)
}

func (w Which) String() string {
	if w.ID != "" {
		return "security group " + w.ID
	}
	return fmt.Sprintf("security group with tag %s=%s", w.Key, w.Value)
}

// Group is a security group in EC2. Its methods are idempotent and bounded by
// ctx; the SDK retries throttling.
type Group struct {
	which  Which
	load   func(context.Context) (aws.Config, error)
	client *machine.EC2 // once loaded
	id     string       // once found
}

// Open is the group in the region of that configuration, which is loaded when
// it is needed first: a machine that cannot say its region yet starts none the
// less. It is for one caller at a time.
func Open(load func(context.Context) (aws.Config, error), w Which) *Group {
	return &Group{which: w, load: load}
}

func (g *Group) connect(ctx context.Context) error {
	if g.client != nil {
		return nil
	}
	cfg, err := g.load(ctx)
	if err == nil {
		g.client = machine.OpenEC2(cfg)
	}
	return err
}

// Rules are the group's TCP rules for address ranges, whoever made them. It
// finds the group first: one that was replaced is found anew.
func (g *Group) Rules(ctx context.Context) ([]Rule, error) {
	if err := g.connect(ctx); err != nil {
		return nil, err
	}
	in := &ec2.DescribeSecurityGroupsInput{}
	if g.which.ID != "" {
		in.GroupIds = []string{g.which.ID}
	} else {
		in.Filters = []types.Filter{{Name: aws.String("tag:" + g.which.Key), Values: []string{g.which.Value}}}
	}
	out, err := g.client.Groups(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("describing %s: %w", g.which, err)
	}
	if n := len(out.SecurityGroups); n != 1 {
		return nil, fmt.Errorf("finding the %s: there are %d, want one", g.which, n)
	}
	found := out.SecurityGroups[0]
	g.id = aws.ToString(found.GroupId)
	var rules []Rule
	for _, p := range found.IpPermissions {
		rules = append(rules, read(p)...)
	}
	return rules, nil
}

// read takes what a rule of ours could look like; what it cannot read is not
// ours to touch.
func read(p types.IpPermission) []Rule {
	if aws.ToString(p.IpProtocol) != "tcp" {
		return nil
	}
	var rules []Rule
	add := func(cidr, description *string) {
		source, err := netip.ParsePrefix(aws.ToString(cidr))
		if err == nil {
			rules = append(rules, Rule{source.Masked(), int(aws.ToInt32(p.FromPort)), int(aws.ToInt32(p.ToPort)), aws.ToString(description)})
		}
	}
	for _, r := range p.IpRanges {
		add(r.CidrIp, r.Description)
	}
	for _, r := range p.Ipv6Ranges {
		add(r.CidrIpv6, r.Description)
	}
	return rules
}

// permission is a rule as EC2 wants it.
func permission(r Rule) []types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(r.From)), ToPort: aws.Int32(int32(r.To))}
	if cidr, text := aws.String(r.Source.String()), aws.String(r.Description); r.Source.Addr().Is4() {
		p.IpRanges = []types.IpRange{{CidrIp: cidr, Description: text}}
	} else {
		p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: cidr, Description: text}}
	}
	return []types.IpPermission{p}
}

// Add adds rules to the group that Rules found, each by itself: one that is
// there already must not keep the others out.
func (g *Group) Add(ctx context.Context, rules []Rule) error {
	var errs []error
	for _, r := range rules {
		_, err := g.client.Allow(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(g.id), IpPermissions: permission(r)})
		switch code(err) {
		case "", "InvalidPermission.Duplicate":
		case "RulesPerSecurityGroupLimitExceeded":
			return errors.Join(append(errs, fmt.Errorf("letting %s in: security group %s is full: remove rules that nobody needs, or have the quota "+
				"\"Inbound or outbound rules per security group\" (60 unless raised) raised: %w", r.Source, g.id, err))...)
		default:
			errs = append(errs, fmt.Errorf("letting %s into security group %s: %w", r.Source, g.id, err))
		}
	}
	return errors.Join(errs...)
}

// Remove removes rules from the group that Rules found.
func (g *Group) Remove(ctx context.Context, rules []Rule) error {
	var errs []error
	for _, r := range rules {
		_, err := g.client.Revoke(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: aws.String(g.id), IpPermissions: permission(r)})
		if c := code(err); c != "" && c != "InvalidPermission.NotFound" {
			errs = append(errs, fmt.Errorf("shutting %s out of security group %s: %w", r.Source, g.id, err))
		}
	}
	return errors.Join(errs...)
}

// code is EC2's word for an error: empty for none, "?" when it has none.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return "?"
}
