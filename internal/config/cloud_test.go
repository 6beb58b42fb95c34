package config

import (
	"errors"
	"testing"
	"time"
)

func TestCloud(t *testing.T) {
	good := Cloud{Queue: "https://sqs.eu-central-1.amazonaws.com/123456789012/q", Cloudwatch: "quorate", SurgeWait: time.Minute, CrashLimit: 5}
	for name, c := range map[string]struct {
		change func(*Cloud)
		want   string
	}{
		"good":                  {func(*Cloud) {}, ""},
		"none of it":            {func(c *Cloud) { *c = Cloud{} }, ""},
		"a queue that is none":  {func(c *Cloud) { c.Queue = "my-queue" }, `queue: want the URL of an SQS queue, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, without a password`},
		"a namespace with gaps": {func(c *Cloud) { c.Cloudwatch = "my figures" }, `cloudwatch: "my figures": want a metrics namespace, as quorate`},
		"negative numbers": {func(c *Cloud) { c.SurgeWait, c.CrashLimit = -time.Second, -1 }, "surge-wait: -1s: want 0 or more\n" +
			"crash-limit: -1: want 0 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := good
			c.change(&cloud)
			var p problems
			cloud.check(&p)
			got := ""
			if err := errors.Join(p...); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
