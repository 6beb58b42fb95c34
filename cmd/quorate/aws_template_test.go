package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/stack"
)

const zeroes = "0000000000000000000000000000000000000000000000000000000000000000"

// awsFlags are the least that a stack needs.
var awsFlags = []string{"--stack", "alpha", "--binary-url", "https://example.org/quorate", "--binary-sha256", zeroes}

// agentWords are the words of the agent in a template's user data.
func agentWords(t *testing.T, template string) []string {
	t.Helper()
	var parsed struct {
		Resources struct {
			Launch struct {
				Properties struct {
					LaunchTemplateData struct {
						UserData map[string]map[string]string
					}
				}
			}
		}
	}
	must(t, json.Unmarshal([]byte(template), &parsed))
	text := parsed.Resources.Launch.Properties.LaunchTemplateData.UserData["Fn::Base64"]["Fn::Sub"]
	var data struct {
		Files []struct{ Path, Content string } `yaml:"write_files"`
	}
	must(t, yaml.Unmarshal([]byte(strings.NewReplacer("${AWS::Region}", "eu-central-1", "${Bucket}", "etcd-bucket-1a2b", "${Queue}", "https://sqs.eu-central-1.amazonaws.com/123456789012/alpha-Queue-1A2B").Replace(text)), &data))
	for _, f := range data.Files {
		_, command, found := strings.Cut(strings.ReplaceAll(f.Content, "\\\n", " "), " run ")
		if found && strings.HasSuffix(f.Path, "/quorate.service") {
			command, _, _ = strings.Cut(command, "\n")
			return strings.Fields(strings.ReplaceAll(command, "%%", "%"))
		}
	}
	t.Fatalf("no agent in %s", text)
	return nil
}

// What a stack's machines are started with is what `quorate run` takes: every
// flag is known, and the values of those that need no machine are right.
func TestStackStartsTheAgent(t *testing.T) {
	awstest.Serve(t, awstest.Instance{ID: "i-0123456789abcdef0", Region: "eu-central-1", Zone: "eu-central-1a", PrivateIPv4: "10.73.0.10", PublicIPv4: "203.0.113.10"}).Point(t)
	for name, flags := range map[string][]string{
		"plain": nil,
		"full": {"--tls", "/etcd/prod", "--hosted-zone-id", "Z123", "--hosted-zone", "example.org.", "--dns-prefix", "prod", "--dns-ttl", "30s", "--dns-style", "stups",
			"--etcd-flags=--quota-backend-bytes=8589934592", "--backup-interval", "0"},
		"pair": {"--regions", "eu-central-1,eu-west-1", "--region", "eu-west-1", "--tls", "/etcd/prod"},
	} {
		out, _ := runAWS(t, 0, slices.Concat([]string{"template", "-o", "json"}, awsFlags, flags)...)
		words := agentWords(t, out)
		var c struct{ config.Config }
		k, err := kong.New(&c, config.Lenient())
		must(t, err)
		if _, err := k.Parse(words); err != nil {
			t.Errorf("%s: %v\n%v", name, err, words)
			continue
		}
		for _, problem := range c.Filled(t.Context()).Validate() {
			key, _, _ := strings.Cut(problem.Error(), ":")
			switch key {
			case "data-dir", "cert-file", "key-file", "trusted-ca-file", "peer-cert-file", "peer-key-file", "peer-trusted-ca-file": // a machine's files
			default:
				t.Errorf("%s: %v", name, problem)
			}
		}
	}
}

func TestTemplateCommand(t *testing.T) {
	yamlOut, _ := runAWS(t, 0, slices.Concat([]string{"template"}, awsFlags)...)
	jsonOut, _ := runAWS(t, 0, slices.Concat([]string{"template", "-o", "json"}, awsFlags)...)
	for form, out := range map[string]string{"yaml": yamlOut, "json": jsonOut} {
		var parsed struct {
			Resources map[string]any `yaml:"Resources"`
		}
		must(t, yaml.Unmarshal([]byte(out), &parsed))
		if parsed.Resources[stack.GroupResource] == nil {
			t.Errorf("%s: no group in %d resources", form, len(parsed.Resources))
		}
	}
	pair := slices.Concat([]string{"template"}, awsFlags, []string{"--regions", "eu-central-1,eu-west-1", "--tls", "/etcd/prod"})
	_, errOut := runAWS(t, 2, pair...)
	wantAll(t, errOut, "region: not given: want one of eu-central-1, eu-west-1")
	_, errOut = runAWS(t, 2, append(pair, "--region", "us-east-1")...)
	wantAll(t, errOut, "region: \"us-east-1\"")
	second, _ := runAWS(t, 0, append(pair, "--region", "eu-west-1")...)
	wantAll(t, second, "Bucket that the first region's stack has made")

	out, errOut := runAWS(t, 2, "template", "--size", "4", "--tls", "on", "--client-cidrs", "everybody")
	wantAll(t, errOut, "stack: ", "size: 4", "client-cidrs: \"everybody\"", "binary-url: not given", "tls: \"on\"")
	if out != "" {
		t.Errorf("a template of bad input: %s", out)
	}
}

func TestIAMPolicyCommand(t *testing.T) {
	out, errOut := runAWS(t, 0, "iam-policy")
	wantAll(t, errOut, "replace REGION, ACCOUNT, STACK, GROUP, BUCKET, CLUSTER, QUEUE")
	var doc stack.PolicyDocument
	must(t, json.Unmarshal([]byte(out), &doc))
	for _, s := range doc.Statement {
		for _, r := range s.Resource {
			if strings.HasSuffix(r, ":*") && r != "*" {
				t.Errorf("%s: a placeholder became %s", s.Sid, r)
			}
		}
	}
	out, errOut = runAWS(t, 0, "iam-policy", "--features", "store,dns", "--bucket", "backups", "--prefix", "/etcd/prod/", "--hosted-zone-id", "Z123")
	wantAll(t, out, `"arn:aws:s3:::backups/etcd/prod/*"`, `"arn:aws:route53:::hostedzone/Z123"`, `"s3:prefix": "etcd/prod/*"`)
	if strings.Contains(out, "autoscaling") || errOut != "" {
		t.Errorf("store and dns: %s%s", out, errOut)
	}
	out, _ = runAWS(t, 0, "iam-policy", "--explain", "--features", "metrics")
	wantAll(t, out, "PutFigures: backup age", "cloudwatch:PutMetricData")
	_, errOut = runAWS(t, 2, "iam-policy", "--features", "everything")
	wantAll(t, errOut, fmt.Sprintf("features: %q: want some of discovery, store", "everything"))
}
