package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/quorate/quorate/internal/stack/deploy"
)

// runAWS runs the real program as an operator would, without a terminal; the
// emulator is in the environment.
func runAWS(t *testing.T, wantCode int, args ...string) (out, errOut string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"aws"}, args...)...)
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		t.Fatalf("quorate aws %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, wantCode, o.String(), e.String())
	}
	return o.String(), e.String()
}

func wantAll(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("lacks %q:\n%s", p, text)
		}
	}
}

// defaultVPC are the flags for the network that is there: of a stack's own,
// moto forgets to delete parts and then the VPC cannot go.
func defaultVPC(t *testing.T) []string {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context())
	must(t, err)
	out, err := ec2.NewFromConfig(cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	must(t, err)
	var subnets []string
	for _, s := range out.Subnets[:3] {
		subnets = append(subnets, *s.SubnetId)
	}
	return []string{"--vpc", *out.Subnets[0].VpcId, "--subnets", strings.Join(subnets, ",")}
}

// TestDeploy is the life of a stack by the command line, its template the real
// one, on moto's CloudFormation. What moto lacks (a stack's failure, the
// outputs of what a change set made) the tests of package deploy answer.
func TestDeploy(t *testing.T) {
	frontedMoto(t)
	describe := append(defaultVPC(t), "--stack", "alpha", "--binary-url", "https://example.com/quorate", "--binary-sha256", strings.Repeat("0", 64))

	out, _ := runAWS(t, 0, append([]string{"deploy", "--dry-run"}, describe...)...)
	wantAll(t, out, "AWSTemplateFormatVersion", "AWS::AutoScaling::AutoScalingGroup")
	_, errOut := runAWS(t, 1, "status", "--stack", "alpha")
	wantAll(t, errOut, "there is no such stack", "us-east-1")

	_, errOut = runAWS(t, 2, append([]string{"deploy"}, describe...)...)
	wantAll(t, errOut, "standard input is no terminal", "--yes")
	runAWS(t, 1, "status", "--stack", "alpha") // still none

	out, errOut = runAWS(t, 0, append([]string{"deploy", "--yes"}, describe...)...)
	wantAll(t, out, "us-east-1: a new stack alpha", "ACTION", "REPLACEMENT", "AWS::AutoScaling::AutoScalingGroup", "CREATE_COMPLETE", "as it should be")
	if strings.Contains(out+errOut, os.Getenv("AWS_SECRET_ACCESS_KEY")) {
		t.Error("the output holds a credential")
	}
	out, _ = runAWS(t, 0, append([]string{"deploy", "--yes"}, describe...)...)
	wantAll(t, out, "us-east-1: no changes")
	out, _ = runAWS(t, 0, append([]string{"deploy", "--yes", "--backup-keep", "11"}, describe...)...)
	wantAll(t, out, "us-east-1: changes to stack alpha", "UPDATE_COMPLETE")

	out, _ = runAWS(t, 0, "status", "--stack", "alpha", "-o", "json")
	all := parsed[[]deploy.Status](t, out)
	if len(all) != 1 || len(all[0].Instances) != 3 || all[0].Desired != 3 {
		t.Errorf("status: %s", out)
	}
	out, _ = runAWS(t, 0, "status", "--stack", "alpha", "--follow", "--regions", "us-east-1")
	wantAll(t, out, "stack alpha in us-east-1  UPDATE_COMPLETE  healthy", "InService")

	_, errOut = runAWS(t, 2, "delete", "--stack", "alpha")
	wantAll(t, errOut, "--yes")
	out, _ = runAWS(t, 0, "delete", "--stack", "alpha", "--yes")
	wantAll(t, out, "goes:", "AWS::AutoScaling::AutoScalingGroup", "stays:", "AWS::S3::Bucket", "DELETE_COMPLETE", "stays, with the backups", "--destroy-bucket ")
	_, bucket, _ := strings.Cut(strings.TrimSpace(out), "--destroy-bucket ")
	runAWS(t, 1, "delete", "--stack", "alpha", "--yes")
	out, _ = runAWS(t, 0, "delete", "--stack", "alpha", "--yes", "--destroy-bucket", bucket)
	wantAll(t, out, "bucket "+bucket+" is destroyed")
}
