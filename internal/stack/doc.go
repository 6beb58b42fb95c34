// Package stack makes the CloudFormation template of a cluster on AWS, and the
// IAM policy of its agents, as pure functions of their parameters: nothing
// here calls AWS, reads a file or a clock. `quorate aws template` prints what
// it makes; package deploy hands it to CloudFormation.
//
// No resource has a fixed physical name, so that two stacks in one account
// never collide, and everything is closed until a parameter opens it.
package stack
