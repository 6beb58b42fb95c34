package aws

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestURLs(t *testing.T) {
	for raw, want := range map[string]place{
		"aws-asg://":                     {address: "private", every: 10 * time.Second},
		"aws-asg://my_Group.1":           {value: "my_Group.1", address: "private", every: 10 * time.Second},
		"aws-asg://a%20b/c?every=1m":     {value: "a b/c", address: "private", every: time.Minute},
		"aws-asg://g?region=eu-west-1":   {value: "g", regions: []string{"eu-west-1"}, address: "private", every: 10 * time.Second},
		"aws-tag://k=v=w?address=public": {tag: true, key: "k", value: "v=w", address: "public", every: 10 * time.Second},
		"aws-tag://a:b%3Dc=?regions=eu-west-1,us-gov-east-1&address=ipv6": {tag: true, key: "a:b=c", regions: []string{"eu-west-1", "us-gov-east-1"},
			address: "ipv6", every: 10 * time.Second},
	} {
		if s, err := Open(raw, ports); err != nil || !reflect.DeepEqual(s.at, want) {
			t.Errorf("%s: %+v, %v", raw, s, err)
		}
	}
	for raw, want := range map[string]string{
		"aws-asg://arn:aws:autoscaling:x":         "which has no colon",
		"aws-asg://%zz":                           "invalid URL escape",
		"aws-tag://":                              "want aws-tag://KEY=VALUE",
		"aws-tag://=v":                            "want aws-tag://KEY=VALUE",
		"aws-asg://g?regions=EU":                  "regions: \"EU\": want names as",
		"aws-asg://g?regions=eu-west-1,":          "regions: \"\": want names as",
		"aws-asg://g?regions=eu-west-1,eu-west-1": "eu-west-1: given twice",
		"aws-asg://g?region=a-b-1&region=c-d-1":   "region: given 2 times",
		"aws-asg://g?region=a-b-1&regions=a":      "given beside regions",
		"aws-asg://g?address=elastic":             "address: want private, public, ipv6",
		"aws-asg://g?every=1ms":                   "every: want a time of at least 1s",
		"aws-asg://g?evry=1m":                     `option "evry"`,
		"aws-tag://?address=x&every=y&region=z":   "\n",
	} {
		_, err := Open(raw, ports)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}
