package config

import (
	"regexp"
	"time"

	"github.com/quorate/quorate/internal/firewall"
	"github.com/quorate/quorate/internal/lifecycle"
)

// Cloud is what quorate does on AWS beyond finding machines; all of it needs
// --peers aws-asg:// or aws-tag://.
type Cloud struct {
	Queue      string        `env:"QUORATE_QUEUE" placeholder:"URL" help:"URL of an SQS queue of this group alone, with the messages of its lifecycle hooks and EventBridge's of spot interruptions: they make quorate look sooner, and nothing depends on them. Default: none."`
	Cloudwatch string        `env:"QUORATE_CLOUDWATCH" placeholder:"NAMESPACE" help:"Put figures (BackupAge, Keys, FailureTolerance, DBSizePercent, UnhealthyMembers) into CloudWatch each minute, in this namespace, with the dimension Cluster. Default: none."`
	Firewall   string        `env:"QUORATE_FIREWALL" placeholder:"GROUP" help:"Keep rules in this region's security group that let the machines of other regions in, and with public addresses those of this one, each by its own address: the group's id, sg-…, or a tag that only it has, KEY=VALUE. Rules of others stay. Default: none."`
	SurgeWait  time.Duration `type:"setting" env:"QUORATE_SURGE_WAIT" default:"5m" placeholder:"TIME" help:"How long a voter whose machine is being terminated stays for its replacement, where the group has or will launch one; 0 removes it at once (default ${default}). May change while running."`
	CrashLimit int           `type:"setting" env:"QUORATE_CRASH_LIMIT" default:"5" placeholder:"N" help:"Ends of etcd in a row after which the machine's disk is held for bad and its group is asked to replace it, one at a time and only while all other members are healthy; 0 never (default ${default}). May change while running."`
}

var metricsNamespace = regexp.MustCompile(`^[A-Za-z0-9._/#:-]{1,255}$`)

func (c Cloud) check(p *problems) {
	if c.Queue != "" {
		p.add("queue", lifecycle.CheckQueue(c.Queue))
	}
	if c.Firewall != "" {
		_, err := firewall.Parse(c.Firewall)
		p.add("firewall", err)
	}
	if c.Cloudwatch != "" && !metricsNamespace.MatchString(c.Cloudwatch) {
		p.say("cloudwatch", "%q: want a metrics namespace, as quorate", c.Cloudwatch)
	}
	if c.SurgeWait < 0 {
		p.say("surge-wait", "%s: want 0 or more", c.SurgeWait)
	}
	if c.CrashLimit < 0 {
		p.say("crash-limit", "%d: want 0 or more", c.CrashLimit)
	}
}
