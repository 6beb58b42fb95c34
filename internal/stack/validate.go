package stack

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// problems collects what is wrong, each with its key.
type problems []error

func (p *problems) say(key, format string, args ...any) {
	*p = append(*p, fmt.Errorf(key+": "+format, args...))
}

// match says so unless the value is of the form.
func (p *problems) match(key, value string, form *regexp.Regexp, want string) {
	if !form.MatchString(value) {
		p.say(key, "%q: want %s", value, want)
	}
}

var (
	stackName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,62}$`)
	instanceType  = regexp.MustCompile(`^([a-z]+[0-9]+[a-z0-9-]*)\.[a-z0-9-]+$`)
	amiForm       = regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|/[A-Za-z0-9._/-]+)$`)
	vpcForm       = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
	subnetForm    = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	keyPairForm   = regexp.MustCompile(`^[A-Za-z0-9][ -~]{0,254}$`)
	sha256Form    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	imageForm     = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)
	etcdForm      = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?$`)
	bucketForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ssmPath       = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
	recipientForm = regexp.MustCompile(`^age1[0-9a-z]{20,}$`)
	kmsForm       = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
	zoneIDForm    = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	dnsForm       = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`)
	regionForm    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	flagForm      = regexp.MustCompile(`^--[a-z0-9-]+(=[^\s"'\\$%]*)?$`)
)

// Validate says everything that is wrong, each problem beginning with its key
// and a colon. It looks at nothing but the parameters.
func (p Params) Validate() []error {
	var bad problems
	bad.match("stack", p.Stack, stackName, "a letter, then letters, digits and dashes, 63 at most")
	if !slices.Contains([]int{1, 3, 5, 7}, p.Size) {
		bad.say("size", "%d: want 1, 3, 5 or 7", p.Size)
	}
	p.checkMachines(&bad)
	p.checkNetwork(&bad)
	p.checkSoftware(&bad)
	p.checkBackups(&bad)
	p.checkSecurity(&bad)
	p.checkNames(&bad)
	p.checkPair(&bad)
	if addr, err := mail.ParseAddress(p.Email); p.Email != "" && (err != nil || addr.Address != p.Email) {
		bad.say("email", "%q: want an address like ops@example.org", p.Email)
	}
	return bad
}

// archOf is the architecture of an instance type's family: a g after the
// generation is Graviton (t4g, m7gd, c6gn), and a1 was the first of them.
func archOf(instance string) string {
	m := graviton.FindStringSubmatch(instance)
	if m != nil && (m[1] == "a1" || strings.HasPrefix(m[2], "g")) {
		return "arm64"
	}
	return "x86_64"
}

var graviton = regexp.MustCompile(`^([a-z]+[0-9]+)([a-z0-9-]*)\.`)

func (p Params) checkMachines(bad *problems) {
	bad.match("instance-type", p.InstanceType, instanceType, "an EC2 instance type like t4g.medium")
	switch {
	case p.Arch != "" && p.Arch != "arm64" && p.Arch != "x86_64":
		bad.say("arch", "%q: want arm64 or x86_64", p.Arch)
	case p.Arch != "" && p.Arch != archOf(p.InstanceType):
		bad.say("arch", "%s is %s, not %s", p.InstanceType, archOf(p.InstanceType), p.Arch)
	}
	if p.AMI != "" {
		bad.match("ami", p.AMI, amiForm, "ami-… or the path of an SSM parameter")
	}
	if p.KeyPair != "" {
		bad.match("key-pair", p.KeyPair, keyPairForm, "the name of a key pair")
	}
	if len(p.SSHCIDRs) > 0 && p.KeyPair == "" {
		bad.say("ssh-cidrs", "no use without key-pair")
	}
	if p.VolumeSize < 1 || p.VolumeSize > 16384 {
		bad.say("volume-size", "%d: want 1 to 16384 (GiB)", p.VolumeSize)
	}
}

func (p Params) checkNetwork(bad *problems) {
	checkCIDRs(bad, "client-cidrs", p.ClientCIDRs)
	checkCIDRs(bad, "ssh-cidrs", p.SSHCIDRs)
	if p.newVPC() {
		if len(p.Subnets) > 0 {
			bad.say("subnets", "no use without vpc")
		}
		cidr, err := netip.ParsePrefix(p.VPCCIDR)
		if err != nil || !cidr.Addr().Is4() || cidr != cidr.Masked() || cidr.Bits() < 16 || cidr.Bits() > 24 {
			bad.say("vpc-cidr", "%q: want an IPv4 range like 10.73.0.0/16, /16 to /24", p.VPCCIDR)
		}
		return
	}
	bad.match("vpc", p.VPC, vpcForm, "a VPC's id, vpc-…")
	if len(p.Subnets) == 0 {
		bad.say("subnets", "not given: want subnets of %s", p.VPC)
	}
	for i, subnet := range p.Subnets {
		bad.match("subnets", subnet, subnetForm, "a subnet's id, subnet-…")
		if slices.Contains(p.Subnets[:i], subnet) {
			bad.say("subnets", "%s is there twice", subnet)
		}
	}
	if p.paired() {
		bad.say("vpc", "a VPC is in one region only: want new ones for two regions")
	}
}

func checkCIDRs(bad *problems, key string, cidrs []string) {
	for i, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil || prefix != prefix.Masked():
			bad.say(key, "%q: want a range like 10.0.0.0/8", cidr)
		case slices.Contains(cidrs[:i], cidr):
			bad.say(key, "%s is there twice", cidr)
		}
	}
}

func (p Params) checkSoftware(bad *problems) {
	switch {
	case p.BinaryURL == "" && p.Image == "":
		bad.say("binary-url", "not given: want where a machine gets quorate (or image)")
	case p.BinaryURL != "" && p.Image != "":
		bad.say("image", "want either image or binary-url")
	case p.Image != "":
		bad.match("image", p.Image, imageForm, "a name with its digest, name@sha256:…")
	default:
		checkDownload(bad, "binary", p.BinaryURL, p.BinarySHA256)
	}
	switch {
	case p.ownEtcd() && p.Image != "":
		bad.say("etcd-version", "no use with image, which has its own etcd")
	case p.ownEtcd():
		if p.EtcdVersion == "" && p.EtcdURL == "" || p.EtcdVersion != "" && !etcdForm.MatchString(p.EtcdVersion) {
			bad.say("etcd-version", "%q: want a version like 3.6.5", p.EtcdVersion)
		}
		checkDownload(bad, "etcd", p.etcdURL(), p.EtcdSHA256)
	case p.EtcdSHA256 != "":
		bad.say("etcd-sha256", "no use without etcd-version or etcd-url")
	}
	for _, flag := range p.EtcdFlags {
		bad.match("etcd-flags", flag, flagForm, "--flag=value without spaces, quotes, $, % and backslashes")
	}
}

// urlForm keeps what a shell or systemd reads as its own out of downloads.
var urlForm = regexp.MustCompile(`^(https|s3)://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/[A-Za-z0-9._~/+=&?@:,-]+$`)

func checkDownload(bad *problems, what, raw, sum string) {
	if u, err := url.Parse(raw); err != nil || !urlForm.MatchString(raw) || u.User != nil {
		bad.say(what+"-url", "want https://host/path or s3://bucket/key, without a password") // not quoted: it may hold a secret
	}
	bad.match(what+"-sha256", sum, sha256Form, "64 hexadecimal digits, in lower case")
}

func (p Params) checkBackups(bad *problems) {
	if p.Bucket != "" {
		bad.match("bucket", p.Bucket, bucketForm, "a bucket's name")
	}
	for i, r := range p.BackupRecipient {
		bad.match("backup-recipient", r, recipientForm, "an age recipient, age1…")
		if slices.Contains(p.BackupRecipient[:i], r) {
			bad.say("backup-recipient", "%s is there twice", r)
		}
	}
	switch {
	case p.sealed() && len(p.BackupRecipient) == 0:
		bad.say("backup-recipient", "not given, and backup-keys is: want whom backups are encrypted for")
	case !p.sealed() && len(p.BackupRecipient) > 0:
		bad.say("backup-keys", "not given, and backup-recipient is: machines that cannot open backups cannot recover from the loss of all")
	case p.sealed():
		bad.match("backup-keys", p.BackupKeys, ssmPath, "the path of SSM parameters like /etcd/prod/backup")
	}
	if p.BackupInterval != 0 && (p.BackupInterval < time.Minute || p.BackupInterval > 24*time.Hour) {
		bad.say("backup-interval", "%s: want 1m to 24h, or 0 for no backups", p.BackupInterval)
	}
	for _, keep := range []struct {
		key   string
		value int
		least int
	}{{"backup-keep", p.BackupKeep, 1}, {"backup-keep-hourly", p.BackupKeepHourly, 0}, {"backup-keep-daily", p.BackupKeepDaily, 0}, {"keep-deleted", p.KeepDeleted, 1}} {
		if keep.value < keep.least {
			bad.say(keep.key, "%d: want %d or more", keep.value, keep.least)
		}
	}
}

func (p Params) checkSecurity(bad *problems) {
	if p.tls() {
		bad.match("tls", p.TLS, ssmPath, "off, or the path of SSM parameters like /etcd/prod")
	}
	if p.KMSKey != "" {
		bad.match("kms-key", p.KMSKey, kmsForm, "a key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID")
	}
}

func (p Params) checkNames(bad *problems) {
	if p.HostedZoneID == "" {
		if p.HostedZone != "" {
			bad.say("hosted-zone", "no use without hosted-zone-id")
		}
		return
	}
	bad.match("hosted-zone-id", p.HostedZoneID, zoneIDForm, "a hosted zone's id, Z…")
	bad.match("hosted-zone", strings.TrimSuffix(p.HostedZone, "."), dnsForm, "the zone's name, like example.org")
	if p.DNSPrefix != "" {
		bad.match("dns-prefix", p.DNSPrefix, dnsForm, "a DNS name")
	}
	if p.DNSTTL < time.Second || p.DNSTTL > 24*time.Hour {
		bad.say("dns-ttl", "%s: want 1s to 24h", p.DNSTTL)
	}
	if !slices.Contains([]string{"etcd", "stups", "stups-readme"}, p.DNSStyle) {
		bad.say("dns-style", "%q: want etcd, stups or stups-readme", p.DNSStyle)
	}
}

func (p Params) checkPair(bad *problems) {
	if !p.paired() {
		return
	}
	for _, region := range p.Regions {
		bad.match("regions", region, regionForm, "a region's name, like eu-central-1")
	}
	if len(p.Regions) != 2 || p.Regions[0] == p.Regions[1] {
		bad.say("regions", "%s: want two different regions", strings.Join(p.Regions, ","))
	}
	if p.Size == 1 {
		bad.say("size", "1: want 3 or more for two regions")
	}
	switch p.Address {
	case "private":
	case "public":
		if !p.tls() {
			bad.say("tls", "off: machines of two regions would talk in plain text over the internet: want a certificate authority's path, or address=private")
		}
	default:
		bad.say("address", "%q: want public or private", p.Address)
	}
	if p.Heartbeat < time.Millisecond || p.Election < 5*p.Heartbeat || p.Election > 50*time.Second {
		bad.say("election", "%s: want at least five heartbeats of %s, and at most 50s", p.Election, p.Heartbeat)
	}
	if p.KMSKey != "" && !strings.Contains(p.KMSKey, ":key/mrk-") {
		bad.say("kms-key", "a key is in one region only: want a multi-region key (mrk-…) for two regions")
	}
}
