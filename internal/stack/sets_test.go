package stack

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// option is one choice that differs from the plain stack.
type option struct {
	name string
	set  func(*Params)
}

const (
	someSum       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	someRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	someKey       = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
)

// plain is the least that an operator must say.
func plain() Params {
	p := Default()
	p.Stack, p.BinaryURL, p.BinarySHA256 = "etcd", "https://example.org/quorate", someSum
	return p
}

func with(names ...string) Params {
	p := plain()
	for _, name := range names {
		found := false
		for _, o := range options {
			if o.name == name {
				o.set(&p)
				found = true
			}
		}
		if !found {
			panic("no option " + name)
		}
	}
	return p
}

// options are every parameter that changes the shape of a template.
var options = []option{
	{"one", func(p *Params) { p.Size = 1 }},
	{"seven", func(p *Params) { p.Size = 7 }},
	{"x86", func(p *Params) { p.InstanceType, p.Arch = "m6i.large", "x86_64" }},
	{"ami", func(p *Params) { p.AMI = "ami-0123456789abcdef0" }},
	{"ami path", func(p *Params) {
		p.AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64"
	}},
	{"ssh", func(p *Params) { p.KeyPair, p.SSHCIDRs = "ops", []string{"192.0.2.0/24"} }},
	{"clients", func(p *Params) { p.ClientCIDRs = []string{"10.0.0.0/8", "2001:db8::/32"} }},
	{"given VPC", func(p *Params) {
		p.VPC, p.Subnets = "vpc-0123456789abcdef0", []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"}
	}},
	{"binary in S3", func(p *Params) { p.BinaryURL = "s3://artifacts/quorate/v1/quorate" }},
	{"image", func(p *Params) {
		p.BinaryURL, p.BinarySHA256, p.Image = "", "", "registry.example.org/quorate@sha256:"+someSum
	}},
	{"etcd version", func(p *Params) { p.EtcdVersion, p.EtcdSHA256 = "3.6.5", someSum }},
	{"etcd in S3", func(p *Params) { p.EtcdURL, p.EtcdSHA256 = "s3://artifacts/etcd.tar.gz", someSum }},
	{"etcd flags", func(p *Params) { p.EtcdFlags = []string{"--quota-backend-bytes=8589934592"} }},
	{"bucket", func(p *Params) { p.Bucket = "ours-already" }},
	{"no backups", func(p *Params) { p.BackupInterval = 0 }},
	{"daily", func(p *Params) { p.BackupInterval = 24 * time.Hour }},
	{"TLS", func(p *Params) { p.TLS = "/etcd/prod" }},
	{"sealed", func(p *Params) { p.BackupRecipient, p.BackupKeys = []string{someRecipient}, "/etcd/prod/backup" }},
	{"KMS", func(p *Params) { p.KMSKey = someKey }},
	{"DNS", func(p *Params) {
		p.HostedZoneID, p.HostedZone, p.DNSPrefix, p.DNSStyle = "Z0123456789ABCDEFGHIJ", "example.org.", "prod", "stups"
	}},
	{"email", func(p *Params) { p.Email = "ops@example.org" }},
	{"pair", func(p *Params) { p.Regions, p.TLS = []string{"eu-central-1", "eu-west-1"}, "/etcd/prod" }},
	{"private pair", func(p *Params) { p.Regions, p.Address = []string{"eu-central-1", "eu-west-1"}, "private" }},
}

// named is a template with what it was made of.
type named struct {
	name     string
	params   Params
	region   string
	template Template
}

// single are the templates of the plain stack, of each option alone, and of
// nearly everything at once.
func single(t *testing.T) []named {
	sets := [][]string{nil, {"seven", "x86", "ssh", "clients", "binary in S3", "etcd in S3", "etcd flags", "TLS", "sealed", "KMS", "DNS", "email"},
		{"pair", "clients", "ssh", "binary in S3", "etcd version", "KMS", "DNS", "email"}}
	for _, o := range options {
		sets = append(sets, []string{o.name})
	}
	return templates(t, sets)
}

// pairs are the templates of every two options that go together, too, made
// once.
func pairs(t *testing.T) []named {
	pairsOnce.Do(func() { everyPair = makePairs(t) })
	return everyPair
}

var (
	pairsOnce sync.Once
	everyPair []named
)

func makePairs(t *testing.T) []named {
	var sets [][]string
	for i, a := range options {
		for _, b := range options[:i] {
			sets = append(sets, []string{b.name, a.name})
		}
	}
	return append(single(t), templates(t, sets)...)
}

// templates are those of the sets, in each of their regions; sets that
// Validate refuses, as two sizes of network, have none.
func templates(t *testing.T, sets [][]string) []named {
	t.Helper()
	var out []named
	for _, set := range sets {
		p := with(set...)
		if len(p.Validate()) > 0 {
			if len(set) != 2 {
				t.Fatalf("%v: %v", set, p.Validate())
			}
			continue
		}
		for _, region := range p.inRegions() {
			made, err := p.Template(region)
			if err != nil {
				t.Fatalf("%v: %v", set, err)
			}
			name := strings.Join(set, ", ")
			if name == "" {
				name = "plain"
			}
			if region != "" {
				name = fmt.Sprintf("%s in %s", name, region)
			}
			out = append(out, named{name, p, region, made})
		}
	}
	return out
}
