package stack

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/unit"
)

// The scripts of a machine's first boot.
var (
	//go:embed boot/setup.sh
	setupScript string
	//go:embed boot/volume.sh
	volumeScript string
	//go:embed boot/fetch.sh
	fetchScript string
	//go:embed boot/certify.sh
	certifyScript string
	//go:embed boot/keys.sh
	keysScript string
)

type (
	cloudConfig = unit.CloudConfig
	writtenFile = unit.File
)

// FetchScript is fetch URL SHA256 FILE: it downloads, and lets nothing through
// that has another sum. https:// and s3://.
func FetchScript() string { return fetchScript }

// userData is cloud-init's configuration. It holds marks: see marked.
func (b *builder) userData() (string, error) {
	const lib = "/usr/local/lib/quorate/"
	files := []writtenFile{
		{Path: "/etc/quorate/setup.conf", Permissions: "0644", Content: b.setupConf()},
		{Path: lib + "setup", Permissions: "0755", Content: setupScript},
		{Path: lib + "volume", Permissions: "0755", Content: volumeScript},
		{Path: lib + "fetch", Permissions: "0755", Content: fetchScript},
		{Path: "/etc/systemd/system/quorate.service", Permissions: "0644", Content: b.unit()},
	}
	if b.tls() {
		files = append(files, []writtenFile{
			{Path: lib + "certify", Permissions: "0755", Content: certifyScript},
			{Path: "/etc/systemd/system/quorate-certify.service", Permissions: "0644", Content: certifyUnit},
			{Path: "/etc/systemd/system/quorate-certify.timer", Permissions: "0644", Content: certifyTimer}}...)
	}
	if b.sealed() {
		files = append(files, writtenFile{Path: lib + "keys", Permissions: "0755", Content: keysScript})
	}
	return cloudConfig{WriteFiles: files, RunCmd: [][]string{{lib + "setup"}}}.UserData()
}

// setupConf is what the scripts are told: shell assignments whose values
// Validate has kept free of what a shell would read.
func (b *builder) setupConf() string {
	etcdURL, tlsPath, names := "", "", []string{}
	if b.ownEtcd() {
		etcdURL = b.etcdURL()
	}
	if b.tls() {
		tlsPath = b.TLS
		names = append(names, "@{Balancer.DNSName}")
		if b.HostedZoneID != "" {
			zone := strings.TrimSuffix(b.HostedZone, ".")
			if b.DNSPrefix != "" {
				zone = b.DNSPrefix + "." + zone
			}
			names = append(names, zone, "*."+zone)
		}
	}
	var out strings.Builder
	for _, v := range [][2]string{{"STACK", "@{AWS::StackName}"}, {"GROUP", GroupResource}, {"IMAGE", b.Image}, {"BINARY_URL", b.BinaryURL}, {"BINARY_SHA256", b.BinarySHA256},
		{"ETCD_URL", etcdURL}, {"ETCD_SHA256", b.EtcdSHA256}, {"TLS_PATH", tlsPath}, {"TLS_NAMES", strings.Join(names, " ")},
		{"BACKUP_KEYS", b.BackupKeys}} {
		fmt.Fprintf(&out, "%s='%s'\n", v[0], v[1])
	}
	out.WriteString("export AWS_REGION='@{AWS::Region}' AWS_DEFAULT_REGION='@{AWS::Region}'\n")
	return out.String()
}

// marked turns a text with marks, @{Name}, into one for Fn::Sub: its own ${…}
// belong to shells and are kept from CloudFormation.
func marked(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "${", "${!"), "@{", "${")
}

// mark turns what is written for Fn::Sub into a mark.
func mark(text string) string { return strings.ReplaceAll(text, "${", "@{") }
