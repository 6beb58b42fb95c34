package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// EC2 makes quorate's few calls to EC2, each as the SDK documents it.
//
// It holds the SDK's methods and not its client. A type that an interface may
// hold keeps all of its exported methods in the program, because somebody could
// find them by reflection; EC2's client has 700 of them, a third of the file,
// and a running agent's memory pays for part of that.
type EC2 struct {
	instances func(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)

	Groups func(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
	Allow  func(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
	Revoke func(context.Context, *ec2.RevokeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error)
}

// OpenEC2 calls the EC2 of the configuration's region.
func OpenEC2(cfg aws.Config) *EC2 {
	client := ec2.NewFromConfig(cfg)
	return &EC2{
		instances: client.DescribeInstances,
		Groups:    client.DescribeSecurityGroups,
		Allow:     client.AuthorizeSecurityGroupIngress,
		Revoke:    client.RevokeSecurityGroupIngress,
	}
}

// DescribeInstances is a method for the SDK's paginator to call.
func (e *EC2) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, options ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return e.instances(ctx, in, options...)
}
