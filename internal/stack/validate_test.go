package stack

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Params)
		want []string // the keys, in order
	}{
		{"plain", func(*Params) {}, nil},
		{"nothing at all", func(p *Params) { *p = Params{} }, []string{"stack", "size", "instance-type", "volume-size", "vpc-cidr", "binary-url", "backup-keep", "keep-deleted"}},
		{"stack names", func(p *Params) { p.Stack = "1etcd" }, []string{"stack"}},
		{"a long stack name", func(p *Params) { p.Stack = strings.Repeat("a", 64) }, []string{"stack"}},
		{"even size", func(p *Params) { p.Size = 4 }, []string{"size"}},
		{"arm64 on an x86 type", func(p *Params) { p.InstanceType, p.Arch = "m6i.large", "arm64" }, []string{"arch"}},
		{"x86_64 on Graviton", func(p *Params) { p.Arch = "x86_64" }, []string{"arch"}},
		{"no such arch", func(p *Params) { p.Arch = "riscv" }, []string{"arch"}},
		{"instance type", func(p *Params) { p.InstanceType = "large" }, []string{"instance-type"}},
		{"an image", func(p *Params) { p.AMI = "al2023" }, []string{"ami"}},
		{"SSH without a key", func(p *Params) { p.SSHCIDRs = []string{"10.0.0.0/8"} }, []string{"ssh-cidrs"}},
		{"volume", func(p *Params) { p.VolumeSize = 0 }, []string{"volume-size"}},
		{"client ranges", func(p *Params) { p.ClientCIDRs = []string{"10.0.0.1/8", "10.0.0.0/8", "10.0.0.0/8", "any"} }, []string{"client-cidrs", "client-cidrs", "client-cidrs"}},
		{"a VPC that is too small", func(p *Params) { p.VPCCIDR = "10.0.0.0/28" }, []string{"vpc-cidr"}},
		{"an IPv6 VPC", func(p *Params) { p.VPCCIDR = "2001:db8::/16" }, []string{"vpc-cidr"}},
		{"a VPC without subnets", func(p *Params) { p.VPC = "vpc-0123456789abcdef0" }, []string{"subnets"}},
		{"subnets without a VPC", func(p *Params) { p.Subnets = []string{"subnet-0123456789abcdef0"} }, []string{"subnets"}},
		{"a subnet twice", func(p *Params) {
			p.VPC, p.Subnets = "vpc-0123456789abcdef0", []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef0"}
		}, []string{"subnets"}},
		{"binary and image", func(p *Params) { p.Image = "quorate@sha256:" + someSum }, []string{"image"}},
		{"an image without digest", func(p *Params) { p.BinaryURL, p.Image = "", "quorate:latest" }, []string{"image"}},
		{"plain HTTP", func(p *Params) { p.BinaryURL = "http://example.org/quorate" }, []string{"binary-url"}},
		{"a quote in a URL", func(p *Params) { p.BinaryURL = "https://example.org/a'b" }, []string{"binary-url"}},
		{"a password in a URL", func(p *Params) { p.BinaryURL = "https://me:secret@example.org/quorate" }, []string{"binary-url"}},
		{"no sum", func(p *Params) { p.BinarySHA256 = "" }, []string{"binary-sha256"}},
		{"an upper-case sum", func(p *Params) { p.BinarySHA256 = strings.ToUpper(someSum) }, []string{"binary-sha256"}},
		{"etcd without a sum", func(p *Params) { p.EtcdVersion = "3.6.5" }, []string{"etcd-sha256"}},
		{"a sum without etcd", func(p *Params) { p.EtcdSHA256 = someSum }, []string{"etcd-sha256"}},
		{"etcd's version", func(p *Params) { p.EtcdVersion, p.EtcdSHA256 = "v3.6", someSum }, []string{"etcd-version"}},
		{"etcd beside an image", func(p *Params) {
			p.BinaryURL, p.Image, p.EtcdVersion, p.EtcdSHA256 = "", "quorate@sha256:"+someSum, "3.6.5", someSum
		}, []string{"etcd-version"}},
		{"flags that a shell would read", func(p *Params) { p.EtcdFlags = []string{"--a=$(x)", "quota", "--ok=1"} }, []string{"etcd-flags", "etcd-flags"}},
		{"a bucket's name", func(p *Params) { p.Bucket = "Mine" }, []string{"bucket"}},
		{"backups each second", func(p *Params) { p.BackupInterval = time.Second }, []string{"backup-interval"}},
		{"no snapshot kept", func(p *Params) { p.BackupKeep, p.BackupKeepDaily = 0, -1 }, []string{"backup-keep", "backup-keep-daily"}},
		{"TLS", func(p *Params) { p.TLS = "on" }, []string{"tls"}},
		{"a recipient", func(p *Params) { p.BackupRecipient, p.BackupKeys = []string{"bob"}, "/x" }, []string{"backup-recipient"}},
		{"a recipient, nobody opens", func(p *Params) { p.BackupRecipient = []string{someRecipient} }, []string{"backup-keys"}},
		{"a recipient twice", func(p *Params) { p.BackupRecipient, p.BackupKeys = []string{someRecipient, someRecipient}, "/x" }, []string{"backup-recipient"}},
		{"keys without a recipient", func(p *Params) { p.BackupKeys = "/x" }, []string{"backup-recipient"}},
		{"keys' path", func(p *Params) { p.BackupRecipient, p.BackupKeys = []string{someRecipient}, "x" }, []string{"backup-keys"}},
		{"a key", func(p *Params) { p.KMSKey = "alias/etcd" }, []string{"kms-key"}},
		{"a zone without an id", func(p *Params) { p.HostedZone = "example.org" }, []string{"hosted-zone"}},
		{"an id without a zone", func(p *Params) { p.HostedZoneID = "Z123" }, []string{"hosted-zone"}},
		{"DNS", func(p *Params) {
			p.HostedZoneID, p.HostedZone, p.DNSPrefix, p.DNSTTL, p.DNSStyle = "x", "example.org", "a b", 0, "mine"
		}, []string{"hosted-zone-id", "dns-prefix", "dns-ttl", "dns-style"}},
		{"an e-mail address", func(p *Params) { p.Email = "ops" }, []string{"email"}},
		{"one region", func(p *Params) { p.Regions, p.Address = []string{"eu-central-1"}, "private" }, []string{"regions"}},
		{"one region twice", func(p *Params) { p.Regions, p.Address = []string{"eu-central-1", "eu-central-1"}, "private" }, []string{"regions"}},
		{"no region", func(p *Params) { p.Regions, p.Address = []string{"Frankfurt", "eu-west-1"}, "private" }, []string{"regions"}},
		{"plain text over the internet", func(p *Params) { p.Regions = []string{"eu-central-1", "eu-west-1"} }, []string{"tls"}},
		{"one machine in two regions", func(p *Params) { with1(p); p.Size = 1 }, []string{"size"}},
		{"an election of one heartbeat", func(p *Params) { with1(p); p.Election = p.Heartbeat }, []string{"election"}},
		{"how to reach", func(p *Params) { with1(p); p.Address = "vpn" }, []string{"address"}},
		{"a key of one region", func(p *Params) { with1(p); p.KMSKey = strings.ReplaceAll(someKey, "mrk-", "") }, []string{"kms-key"}},
		{"a VPC in two regions", func(p *Params) {
			with1(p)
			p.VPC, p.Subnets = "vpc-0123456789abcdef0", []string{"subnet-0123456789abcdef0"}
		}, []string{"vpc"}},
	} {
		p := plain()
		c.set(&p)
		var keys []string
		for _, err := range p.Validate() {
			key, _, _ := strings.Cut(err.Error(), ":")
			keys = append(keys, key)
		}
		if strings.Join(keys, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %v, want problems with %v", c.name, errors.Join(p.Validate()...), c.want)
		}
	}
}

// with1 makes p a sound pair.
func with1(p *Params) { p.Regions, p.TLS = []string{"eu-central-1", "eu-west-1"}, "/etcd/prod" }

func TestSecretsStayOutOfErrors(t *testing.T) {
	p := plain()
	p.BinaryURL = "https://me:secret@example.org/quorate"
	if err := errors.Join(p.Validate()...); strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestArchOf(t *testing.T) {
	for kind, want := range map[string]string{"t4g.medium": "arm64", "m7gd.large": "arm64", "c6gn.xlarge": "arm64", "a1.medium": "arm64", "x2gd.medium": "arm64", "im4gn.large": "arm64", "r8g.large": "arm64",
		"t3.medium": "x86_64", "m6i.large": "x86_64", "m6a.large": "x86_64", "g5.xlarge": "x86_64", "c7i-flex.large": "x86_64", "u7i-12tb.224xlarge": "x86_64"} {
		if got := archOf(kind); got != want {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
	if g5g := archOf("g5g.xlarge"); g5g != "arm64" {
		t.Errorf("g5g is %s", g5g)
	}
}
