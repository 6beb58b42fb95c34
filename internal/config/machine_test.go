package config

import (
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/aws/awstest"
)

// instance is an EC2 instance on whose metadata the tests lean. No API of AWS
// answers them: what the machine itself knows must be enough.
func instance(t *testing.T) *awstest.IMDS {
	t.Helper()
	for key, value := range map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"} {
		t.Setenv(key, value)
	}
	s := awstest.Serve(t, awstest.Instance{ID: "i-0abc", Region: "eu-west-1", Zone: "eu-west-1b", PrivateIPv4: "127.0.0.7", PublicIPv4: "127.0.0.8"})
	s.Point(t)
	return s
}

func on(t *testing.T, peers string, more ...string) Config {
	t.Helper()
	return must(t, append([]string{"run", "--peers=" + peers, "--data-dir=" + t.TempDir() + "/q"}, more...)...)
}

func TestAnInstanceKnowsItself(t *testing.T) {
	instance(t)
	for peers, host := range map[string]string{"aws-asg://g": "127.0.0.7", "aws-tag://a=b?address=public": "127.0.0.8"} {
		c := on(t, peers)
		if problems := c.Validate(); c.Name != "i-0abc" || c.Host != host || c.Zone != "eu-west-1b" || len(problems) > 0 {
			t.Errorf("%s: %q %q %q %v", peers, c.Name, c.Host, c.Zone, problems)
		}
	}
	c := on(t, "aws-asg://g", "--host=127.0.0.9", "--zone=z")
	if c.Name != "i-0abc" || c.Host != "127.0.0.9" || c.Zone != "z" {
		t.Errorf("flags do not override: %q %q %q", c.Name, c.Host, c.Zone)
	}
	got := lines(on(t, "aws-asg://g", "--name=db1").Validate())
	if got != `name: "db1", but peers will call this machine "i-0abc": leave name out` {
		t.Error(got)
	}
	if got := lines(on(t, "aws-asg://g?address=ipv6").Validate()); !strings.Contains(got, "no ipv6 address") || strings.Contains(got, "\n") {
		t.Error(got)
	}
}

// One error, which says how to do without; and no metadata are wanted then.
func TestMetadataOff(t *testing.T) {
	s := instance(t)
	s.Refuse(http.StatusForbidden)
	got := lines(on(t, "aws-asg://g").Validate())
	if !strings.HasPrefix(got, "peers: ") || !strings.Contains(got, "--name and --host") || !strings.Contains(got, "turned off") || strings.Contains(got, "\n") {
		t.Error(got)
	}
	c := on(t, "aws-asg://g", "--name=i-1", "--host=127.0.0.9", "--zone=z")
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
	if n := s.Calls("api/token"); n != 1 {
		t.Errorf("%d calls", n)
	}
	if c := on(t, "a=127.0.0.1"); c.Name == "i-0abc" {
		t.Error("a static list has a machine's name")
	}
}

// A file that calls this very address something else will never let it in.
func TestNamedOtherwise(t *testing.T) {
	list := file(t, "- {name: x, host: 127.0.0.11}\n")
	c := must(t, good(t, "--peers=file://"+list, "--host=127.0.0.11", "--store=file:///tmp/x")...)
	if got := strings.Join(c.Warnings(), "\n"); got != `name: "a", but peers call the machine at 127.0.0.11 "x": it will not take part` {
		t.Error(got)
	}
}
