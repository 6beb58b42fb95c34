package stack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Ports of a machine. HealthPort serves /readyz and nothing else, in plain
// text, for the load balancer.
const (
	agentPort  = 2378
	clientPort = 2379
	peerPort   = 2380
	HealthPort = 2377
)

const anywhere = "0.0.0.0/0"

// zones is the number of subnets in a new VPC, each in a zone of its own.
const zones = 3

// image is the machines' image: looked up by CloudFormation at each update,
// unless it is given.
func (b *builder) image() {
	const description = "Image of the machines."
	path := "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-" + b.arch()
	switch {
	case b.AMI == "":
	case b.AMI[0] == '/':
		path = b.AMI
	default:
		b.out.Parameters["Image"] = Parameter{Type: "AWS::EC2::Image::Id", Default: b.AMI, Description: description}
		return
	}
	b.out.Parameters["Image"] = Parameter{Type: "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", Default: path, Description: description}
}

// network makes the VPC, unless one is given: public subnets, as machines need
// the AWS APIs and a NAT for each zone costs more than the cluster; the
// security groups let nothing in.
func (b *builder) network() {
	if !b.newVPC() {
		return
	}
	b.add("Vpc", "AWS::EC2::VPC", object{"CidrBlock": b.cidr(-1), "EnableDnsSupport": true, "EnableDnsHostnames": true, "Tags": tags(b.Stack)})
	b.add("Gateway", "AWS::EC2::InternetGateway", object{"Tags": tags(b.Stack)})
	b.add("GatewayAttachment", "AWS::EC2::VPCGatewayAttachment", object{"VpcId": ref("Vpc"), "InternetGatewayId": ref("Gateway")})
	b.add("Routes", "AWS::EC2::RouteTable", object{"VpcId": ref("Vpc"), "Tags": tags(b.Stack)})
	b.add("DefaultRoute", "AWS::EC2::Route", object{"RouteTableId": ref("Routes"), "DestinationCidrBlock": anywhere, "GatewayId": ref("Gateway")})
	b.change("DefaultRoute", func(r *Resource) { r.DependsOn = []string{"GatewayAttachment"} })
	for i := range zones {
		id := "Subnet" + strconv.Itoa(i+1)
		b.add(id, "AWS::EC2::Subnet", object{
			"VpcId":               ref("Vpc"),
			"AvailabilityZone":    object{"Fn::Select": []any{i, object{"Fn::GetAZs": ""}}},
			"CidrBlock":           b.cidr(i),
			"MapPublicIpOnLaunch": true,
			"Tags":                tags(fmt.Sprintf("%s-%d", b.Stack, i+1)),
		})
		b.add(id+"Routes", "AWS::EC2::SubnetRouteTableAssociation", object{"SubnetId": ref(id), "RouteTableId": ref("Routes")})
	}
	b.add("StoreEndpoint", "AWS::EC2::VPCEndpoint", object{"VpcId": ref("Vpc"), "VpcEndpointType": "Gateway",
		"ServiceName": sub("com.amazonaws.${AWS::Region}.s3"), "RouteTableIds": []any{ref("Routes")}})
}

func (b *builder) vpc() any {
	if b.newVPC() {
		return ref("Vpc")
	}
	return b.VPC
}

func (b *builder) subnets() []any {
	var out []any
	if b.newVPC() {
		for i := range zones {
			out = append(out, ref("Subnet"+strconv.Itoa(i+1)))
		}
	}
	for _, id := range b.Subnets {
		out = append(out, id)
	}
	return out
}

// routes are what a machine's traffic needs beside its security group: the
// group waits for them, and at the end of the stack they wait for it.
func (b *builder) routes() []string {
	if !b.newVPC() {
		return nil
	}
	out := []string{"DefaultRoute", "StoreEndpoint"}
	for i := range zones {
		out = append(out, fmt.Sprintf("Subnet%dRoutes", i+1))
	}
	return out
}

// firewalls are two security groups, the machines' and the load balancer's.
// The rules are resources of their own, so that CloudFormation leaves alone
// those that quorate adds for another region's machines.
func (b *builder) firewalls() {
	b.add("MachinesFirewall", "AWS::EC2::SecurityGroup", object{
		"GroupDescription":    "Machines of an etcd cluster.",
		"VpcId":               b.vpc(),
		"SecurityGroupEgress": b.machinesEgress(),
		"Tags":                append(tags(b.Stack), object{"Key": FirewallTag, "Value": b.Stack}),
	})
	b.add("BalancerFirewall", "AWS::EC2::SecurityGroup", object{
		"GroupDescription":    "Load balancer of an etcd cluster.",
		"VpcId":               b.vpc(),
		"SecurityGroupEgress": []any{toMachines(clientPort), toMachines(HealthPort)},
		"Tags":                tags(b.Stack),
	})
	b.allow("MembersRule", "MachinesFirewall", agentPort, peerPort, object{"SourceSecurityGroupId": attribute("MachinesFirewall", "GroupId")}, "members among themselves")
	b.allow("BalancerRule", "MachinesFirewall", clientPort, clientPort, object{"SourceSecurityGroupId": attribute("BalancerFirewall", "GroupId")}, "clients by the load balancer")
	b.allow("HealthRule", "MachinesFirewall", HealthPort, HealthPort, object{"SourceSecurityGroupId": attribute("BalancerFirewall", "GroupId")}, "health checks")
	b.add("MembersEgress", "AWS::EC2::SecurityGroupEgress", object{"GroupId": attribute("MachinesFirewall", "GroupId"), "IpProtocol": "tcp",
		"FromPort": agentPort, "ToPort": peerPort, "DestinationSecurityGroupId": attribute("MachinesFirewall", "GroupId"), "Description": "members among themselves"})
	for i, cidr := range b.ClientCIDRs {
		n := strconv.Itoa(i + 1)
		b.allow("BalancerClientRule"+n, "BalancerFirewall", clientPort, clientPort, from(cidr), "clients")
		b.allow("ClientRule"+n, "MachinesFirewall", clientPort, clientPort, from(cidr), "clients that know the members")
	}
	for i, cidr := range b.SSHCIDRs {
		b.allow("SSHRule"+strconv.Itoa(i+1), "MachinesFirewall", 22, 22, from(cidr), "SSH")
	}
}

// FirewallTag marks the security group whose rules for machines of other
// regions quorate owns; its value is the stack's name.
const FirewallTag = "quorate:firewall"

// machinesEgress is HTTPS to anywhere, which the AWS APIs and downloads need,
// and over two regions the other's members.
func (b *builder) machinesEgress() []any {
	out := []any{object{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": anywhere, "Description": "AWS APIs and downloads"}}
	if b.paired() {
		out = append(out, object{"IpProtocol": "tcp", "FromPort": agentPort, "ToPort": peerPort, "CidrIp": anywhere, "Description": "members in the other region"})
	}
	return out
}

func toMachines(port int) object {
	return object{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "Description": "machines",
		"DestinationSecurityGroupId": attribute("MachinesFirewall", "GroupId")}
}

func (b *builder) allow(id, group string, low, high int, source object, why string) {
	p := object{"GroupId": attribute(group, "GroupId"), "IpProtocol": "tcp", "FromPort": low, "ToPort": high, "Description": why}
	for k, v := range source {
		p[k] = v
	}
	b.add(id, "AWS::EC2::SecurityGroupIngress", p)
}

func from(cidr string) object {
	if strings.Contains(cidr, ":") {
		return object{"CidrIpv6": cidr}
	}
	return object{"CidrIp": cidr}
}

// cidr is the range of a subnet of this region's VPC, a quarter of it, or of
// the whole VPC for none (-1). The second region's is the next range of the
// same length, so that the two can be peered.
func (b *builder) cidr(subnet int) string {
	whole, err := netip.ParsePrefix(b.VPCCIDR)
	if err != nil {
		return b.VPCCIDR // refused by Validate
	}
	addr := whole.Addr().As4()
	start, bits := binary.BigEndian.Uint32(addr[:]), whole.Bits()
	if !b.first(b.region) {
		start += 1 << (32 - bits)
	}
	if subnet >= 0 {
		bits += 2
		start += uint32(subnet) << (32 - bits)
	}
	binary.BigEndian.PutUint32(addr[:], start)
	return netip.PrefixFrom(netip.AddrFrom4(addr), bits).String()
}
