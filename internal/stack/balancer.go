package stack

import (
	"fmt"
	"strconv"
)

func text(n int) string { return strconv.Itoa(n) }

// balancer is one address for clients, inside the VPC: TCP, so that TLS and
// gRPC are between client and member. Only members that /readyz vouches for
// are behind it.
func (b *builder) balancer() {
	b.add("Balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer", object{
		"Type": "network", "Scheme": "internal", "Subnets": b.subnets(),
		"SecurityGroups":         []any{attribute("BalancerFirewall", "GroupId")},
		"LoadBalancerAttributes": []any{object{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}},
		"Tags":                   tags(b.Stack),
	})
	b.add("Targets", "AWS::ElasticLoadBalancingV2::TargetGroup", object{
		"VpcId": b.vpc(), "Protocol": "TCP", "Port": clientPort, "TargetType": "instance",
		"HealthCheckProtocol": "HTTP", "HealthCheckPort": text(HealthPort), "HealthCheckPath": "/readyz", "Matcher": object{"HttpCode": "200"},
		"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
		"TargetGroupAttributes": []any{
			object{"Key": "deregistration_delay.timeout_seconds", "Value": "30"},
			object{"Key": "deregistration_delay.connection_termination.enabled", "Value": "true"},
		},
		"Tags": tags(b.Stack),
	})
	b.add("Listener", "AWS::ElasticLoadBalancingV2::Listener", object{
		"LoadBalancerArn": ref("Balancer"), "Port": clientPort, "Protocol": "TCP",
		"DefaultActions": []any{object{"Type": "forward", "TargetGroupArn": ref("Targets")}},
	})
	scheme := "http"
	if b.tls() {
		scheme = "https"
	}
	b.output("Endpoint", "For clients, inside the VPC: --endpoints of etcdctl.", sub(fmt.Sprintf("%s://${Balancer.DNSName}:%d", scheme, clientPort)))
}
