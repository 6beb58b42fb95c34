package stack

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
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
)

// cloudConfig is the part of cloud-init's format that is used.
type cloudConfig struct {
	WriteFiles []writtenFile `yaml:"write_files"`
	RunCmd     [][]string    `yaml:"runcmd"`
}

type writtenFile struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"`
	Content     string `yaml:"content"`
}

// userData is cloud-init's configuration. It holds marks: see marked.
func (b *builder) userData() (string, error) {
	const lib = "/usr/local/lib/quorate/"
	files := []writtenFile{
		{"/etc/quorate/setup.conf", "0644", b.setupConf()},
		{lib + "setup", "0755", setupScript},
		{lib + "volume", "0755", volumeScript},
		{lib + "fetch", "0755", fetchScript},
		{"/etc/systemd/system/quorate.service", "0644", b.unit()},
	}
	if b.tls() {
		files = append(files,
			writtenFile{lib + "certify", "0755", certifyScript},
			writtenFile{"/etc/systemd/system/quorate-certify.service", "0644", certifyUnit},
			writtenFile{"/etc/systemd/system/quorate-certify.timer", "0644", certifyTimer})
	}
	text, err := yaml.MarshalWithOptions(cloudConfig{WriteFiles: files, RunCmd: [][]string{{lib + "setup"}}}, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("writing user data: %w", err)
	}
	return "#cloud-config\n" + strings.TrimRight(string(text), "\n") + "\n", nil
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
		{"ETCD_URL", etcdURL}, {"ETCD_SHA256", b.EtcdSHA256}, {"TLS_PATH", tlsPath}, {"TLS_NAMES", strings.Join(names, " ")}} {
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
