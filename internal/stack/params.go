package stack

import (
	"slices"
	"time"
)

// Params say what stack is wanted. They are the flags of `quorate aws
// template` and `deploy`; the tags are the manual. Copies share their slices.
type Params struct {
	Stack string `placeholder:"NAME" help:"Name of the CloudFormation stack, and of the cluster in it: a letter, then letters, digits and dashes, 63 at most. Required."`
	Size  int    `default:"3" placeholder:"N" help:"Machines, each a voting member: 1, 3, 5 or 7; with two --regions in all, at least 3 (default ${default})."`

	Machines  `group:"Machines"`
	Network   `group:"Network"`
	Software  `group:"Software"`
	Retention `group:"Backups"`
	Security  `group:"Security"`
	Names     `group:"DNS"`
	Alarms    `group:"Alarms"`
	Pair      `group:"Two regions"`
}

// Machines are what runs.
type Machines struct {
	InstanceType string `default:"t4g.medium" placeholder:"TYPE" help:"EC2 instance type (default ${default})."`
	Arch         string `placeholder:"ARCH" help:"arm64 or x86_64; must be the instance type's. Default: the instance type's."`
	AMI          string `name:"ami" placeholder:"IMAGE" help:"An image of Amazon Linux 2023: ami-…, or the path of an SSM parameter that names one. Default: AWS's newest for --arch; each update of the stack may find a newer one, and then replaces the machines in turn."`
	KeyPair      string `placeholder:"NAME" help:"EC2 key pair for SSH, which also needs --ssh-cidrs. Default: none."`
	VolumeSize   int    `default:"20" placeholder:"GIB" help:"Size of each machine's encrypted gp3 data volume in GiB (default ${default})."`
}

// Network is where it runs and who may reach it.
type Network struct {
	VPCCIDR     string   `name:"vpc-cidr" default:"10.73.0.0/16" placeholder:"CIDR" help:"IPv4 range of the new VPC, /16 to /24, with one subnet in each of three zones (default ${default})."`
	VPC         string   `name:"vpc" placeholder:"ID" help:"Use this VPC instead of a new one; needs --subnets."`
	Subnets     []string `placeholder:"IDS" help:"Subnets of --vpc for the machines and the load balancer, at most one a zone, separated by commas. They must reach the AWS APIs: by an internet gateway and public addresses, a NAT or endpoints."`
	ClientCIDRs []string `name:"client-cidrs" placeholder:"CIDRS" help:"Who may reach etcd's client port, through the load balancer or directly. Default: nobody."`
	SSHCIDRs    []string `name:"ssh-cidrs" placeholder:"CIDRS" help:"Who may reach port 22. Default: nobody."`
}

// Software is what the machines install at boot. Every download has a SHA-256
// or a digest: a wrong one stops the machine before it starts anything.
type Software struct {
	BinaryURL    string   `name:"binary-url" placeholder:"URL" help:"Where a machine gets quorate: https://… or s3://bucket/key (read with the machine's role). Required, unless --image."`
	BinarySHA256 string   `name:"binary-sha256" placeholder:"HEX" help:"SHA-256 of that file. Required with --binary-url."`
	Image        string   `placeholder:"NAME@sha256:…" help:"Run quorate from this public container image, named with its digest, instead. A crash of the agent then takes etcd with it; the binary is better."`
	EtcdVersion  string   `placeholder:"X.Y.Z" help:"Run this release of etcd, downloaded at boot from --etcd-url. Default: the etcd built into quorate."`
	EtcdURL      string   `name:"etcd-url" placeholder:"URL" help:"A release archive (.tar.gz) of etcd: https://… or s3://…. Default with --etcd-version: the project's own release."`
	EtcdSHA256   string   `name:"etcd-sha256" placeholder:"HEX" help:"SHA-256 of that archive. Required with --etcd-version or --etcd-url."`
	EtcdFlags    []string `sep:" " placeholder:"FLAGS" help:"More flags for etcd, separated by spaces."`
}

// Retention is how often there is a snapshot, and for how long.
type Retention struct {
	Bucket           string        `placeholder:"NAME" help:"Use this bucket, which you protect, instead of a new one."`
	BackupInterval   time.Duration `default:"1h" placeholder:"TIME" help:"Time between full snapshots; 0 is none (default ${default})."`
	BackupKeep       int           `default:"10" placeholder:"N" help:"Keep the newest N snapshots (default ${default})."`
	BackupKeepHourly int           `default:"24" placeholder:"N" help:"Keep the newest of each of the last N hours (default ${default})."`
	BackupKeepDaily  int           `default:"7" placeholder:"N" help:"Keep the newest of each of the last N days (default ${default})."`
	BackupRecipient  []string      `placeholder:"AGE1…" help:"Whom backups are encrypted for, as age names them, separated by commas; needs --backup-keys. Default: the bucket's own encryption alone."`
	BackupKeys       string        `placeholder:"/PATH" help:"Path in the SSM parameter store of PATH/identity, an age identity of --backup-recipient, and PATH/sign.key, a PEM ed25519 private key that signs the backups: both SecureString, in each region. Machines read them at their first boot; a backup that is not signed with it is refused."`
	KeepDeleted      int           `default:"30" placeholder:"DAYS" help:"Days for which the bucket still holds what was deleted or overwritten in it (default ${default})."`
}

// Security is encryption, in flight and at rest.
type Security struct {
	TLS    string `name:"tls" default:"off" placeholder:"off|/PATH" help:"Path in the SSM parameter store of a certificate authority: PATH/ca.crt (String) and PATH/ca.key (SecureString), in PEM. Each machine makes a key of its own at boot, has it certified for its own addresses, and renews weekly; clients need a certificate of the same authority (default ${default})."`
	KMSKey string `name:"kms-key" placeholder:"ARN" help:"KMS key for the data volumes, the bucket, --tls and --backup-keys. The Auto Scaling service role must be granted its use. Default: AWS's own keys."`
}

// Names are the DNS records that quorate publishes and keeps.
type Names struct {
	HostedZoneID string        `placeholder:"ID" help:"Route 53 hosted zone for the cluster's records. Default: no records."`
	HostedZone   string        `placeholder:"NAME" help:"The name of that zone. Required with --hosted-zone-id."`
	DNSPrefix    string        `name:"dns-prefix" placeholder:"NAME" help:"What stands before the zone in every record's name. Default: none."`
	DNSTTL       time.Duration `name:"dns-ttl" default:"60s" placeholder:"TIME" help:"The records' time to live (default ${default})."`
	DNSStyle     string        `name:"dns-style" default:"etcd" placeholder:"STYLE" help:"Names of the records: etcd, stups or stups-readme (default ${default})."`
}

// Alarms are who hears of trouble.
type Alarms struct {
	Email string `placeholder:"ADDRESS" help:"Who gets the alarms by e-mail, once they have confirmed. Default: the alarms' topic has no subscriber."`
}

// Pair is one cluster over two regions.
type Pair struct {
	Regions   []string      `placeholder:"A,B" help:"Two regions for one cluster: a stack of the same name in each, the bucket and the alarms in the first. Default: one stack in the region of your AWS configuration."`
	Address   string        `default:"public" placeholder:"KIND" help:"How machines of different regions reach each other: public addresses (needs --tls), or private where you have peered the VPCs (default ${default})."`
	Heartbeat time.Duration `default:"300ms" placeholder:"TIME" help:"etcd's heartbeat interval over two regions: about the round trip between them (default ${default})."`
	Election  time.Duration `default:"3s" placeholder:"TIME" help:"etcd's election timeout over two regions: at least five heartbeats (default ${default})."`
}

// arch is the architecture that the machines have.
func (p Params) arch() string {
	if p.Arch != "" {
		return p.Arch
	}
	return archOf(p.InstanceType)
}

// paired says that the cluster is over two regions.
func (p Params) paired() bool { return len(p.Regions) > 0 }

// first says that this region's stack holds what the pair has only once: the
// bucket and the alarms. A single stack holds it all.
func (p Params) first(region string) bool { return !p.paired() || region == p.Regions[0] }

// sizeIn is the number of machines in a region: the first region has the
// bigger half, so that the total stays odd.
func (p Params) sizeIn(region string) int {
	switch {
	case !p.paired():
		return p.Size
	case p.first(region):
		return p.Size/2 + 1
	}
	return p.Size / 2
}

func (p Params) newVPC() bool  { return p.VPC == "" }
func (p Params) tls() bool     { return p.TLS != "" && p.TLS != "off" }
func (p Params) sealed() bool  { return p.BackupKeys != "" }
func (p Params) ownEtcd() bool { return p.EtcdVersion != "" || p.EtcdURL != "" }

// Default are the parameters with every default, for those that do not come
// from a command line. The tags say the same; a test holds them together.
func Default() Params {
	return Params{
		Size:      3,
		Machines:  Machines{InstanceType: "t4g.medium", VolumeSize: 20},
		Network:   Network{VPCCIDR: "10.73.0.0/16"},
		Retention: Retention{BackupInterval: time.Hour, BackupKeep: 10, BackupKeepHourly: 24, BackupKeepDaily: 7, KeepDeleted: 30},
		Security:  Security{TLS: "off"},
		Names:     Names{DNSTTL: time.Minute, DNSStyle: "etcd"},
		Pair:      Pair{Address: "public", Heartbeat: 300 * time.Millisecond, Election: 3 * time.Second},
	}
}

// inRegions are the regions to make a template for: one without a name when
// the stack is a single one.
func (p Params) inRegions() []string {
	if !p.paired() {
		return []string{""}
	}
	return slices.Clone(p.Regions)
}

// etcdURL is where the etcd other than the built-in one comes from.
func (p Params) etcdURL() string {
	if p.EtcdURL != "" {
		return p.EtcdURL
	}
	arch := map[string]string{"arm64": "arm64", "x86_64": "amd64"}[p.arch()]
	return "https://github.com/etcd-io/etcd/releases/download/v" + p.EtcdVersion + "/etcd-v" + p.EtcdVersion + "-linux-" + arch + ".tar.gz"
}
