package stack

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/unit"
)

// Where things are on a machine.
const (
	dataDir  = "/var/lib/quorate"
	tlsDir   = "/etc/quorate/tls"
	keysDir  = "/etc/quorate/backup"
	binPath  = "/usr/local/bin/quorate"
	etcdPath = "/opt/etcd/etcd"
)

// agentArgs are the words after `quorate`: the agent's whole configuration.
// Marks (see marked) stand for what only CloudFormation knows.
func (b *builder) agentArgs() []string {
	out := []string{"run",
		"--cluster=" + b.Stack,
		"--peers=" + b.peers(),
		"--store=s3://" + mark(b.bucketName()) + "?region=" + mark(b.bucketRegion()),
		"--size=" + b.wanted(),
		"--data-dir=" + dataDir,
		"--listen-host=0.0.0.0",
		fmt.Sprintf("--health-port=%d", HealthPort),
		"--queue=@{Queue}",
		"--cloudwatch=" + MetricsNamespace,
		"--backup-interval=" + b.BackupInterval.String(),
		fmt.Sprintf("--backup-keep=%d", b.BackupKeep),
		fmt.Sprintf("--backup-keep-hourly=%d", b.BackupKeepHourly),
		fmt.Sprintf("--backup-keep-daily=%d", b.BackupKeepDaily),
	}
	if b.HostedZoneID != "" {
		out = append(out, "--dns="+b.records())
	}
	if b.paired() {
		out = append(out, "--firewall="+FirewallTag+"="+b.Stack)
	}
	if b.tls() {
		for _, kind := range []string{"", "peer-"} {
			out = append(out, "--"+kind+"cert-file="+tlsDir+"/node.crt", "--"+kind+"key-file="+tlsDir+"/node.key",
				"--"+kind+"trusted-ca-file="+tlsDir+"/ca.crt", "--"+kind+"client-cert-auth")
		}
	}
	if b.sealed() {
		for _, r := range b.BackupRecipient {
			out = append(out, "--backup-recipient="+r)
		}
		out = append(out, "--backup-identity-file="+keysDir+"/identity", "--backup-sign-key-file="+keysDir+"/sign.key")
	}
	if b.ownEtcd() {
		out = append(out, "--etcd="+etcdPath)
	}
	if extra := b.etcdArgs(); len(extra) > 0 {
		out = append(append(out, "--"), extra...)
	}
	return out
}

// peers is the source: a single stack's own group, or all machines of the
// stacks of this name in both regions.
func (b *builder) peers() string {
	if !b.paired() {
		return "aws-asg://?region=@{AWS::Region}"
	}
	return "aws-tag://aws:cloudformation:stack-name=" + b.Stack + "?regions=" + strings.Join(b.Regions, ",") + "&address=" + b.Address
}

// records is the zone to publish in; its id, as IAM allows no other zone of
// the same name.
func (b *builder) records() string {
	out := fmt.Sprintf("route53://%s?id=%s&ttl=%d&style=%s", strings.TrimSuffix(b.HostedZone, "."), b.HostedZoneID, b.DNSTTL/time.Second, b.DNSStyle)
	if b.DNSPrefix != "" {
		out += "&prefix=" + b.DNSPrefix
	}
	return out
}

// wanted is the number of voters: the group's own, or for a pair, of which no
// group knows the whole, the number itself.
func (b *builder) wanted() string {
	if b.paired() {
		return fmt.Sprint(b.Size)
	}
	return "auto"
}

func (b *builder) etcdArgs() []string {
	var out []string
	if b.paired() {
		out = append(out, fmt.Sprintf("--heartbeat-interval=%d", b.Heartbeat/time.Millisecond), fmt.Sprintf("--election-timeout=%d", b.Election/time.Millisecond))
	}
	return append(out, b.EtcdFlags...)
}

// unit is the agent's service.
func (b *builder) unit() string {
	s := unit.Service{DataDir: dataDir, Environment: []string{"Environment=AWS_REGION=@{AWS::Region}"}, Confinement: unit.Hardening(dataDir)}
	command := binPath
	if b.Image != "" {
		command = "/usr/bin/docker run --name quorate " + strings.Join(b.containerArgs(), " ")
		s.Confinement, s.After = container, []string{"docker.service"}
	}
	s.Command = command + " " + strings.Join(b.systemdArgs(), " \\\n  ")
	return s.Text()
}

// systemdArgs are the agent's words as systemd reads them: % is its own mark.
func (b *builder) systemdArgs() []string {
	var out []string
	for _, a := range b.agentArgs() {
		out = append(out, strings.ReplaceAll(a, "%", "%%"))
	}
	return out
}

// container replaces the hardening: docker does it.
const container = `ExecStartPre=-/usr/bin/docker rm --force quorate
ExecStop=/usr/bin/docker stop --time 150 quorate
`

func (b *builder) containerArgs() []string {
	return []string{"--rm", "--network host", "--user 2379:2379", "--read-only", "--tmpfs /tmp", "--cap-drop ALL", "--security-opt no-new-privileges",
		"--ulimit nofile=65536", "--env AWS_REGION", "--volume " + dataDir + ":" + dataDir, "--volume /etc/quorate:/etc/quorate:ro", b.Image}
}

// certifyUnit and certifyTimer renew the machine's certificate, of 90 days,
// each week.
const certifyUnit = `[Unit]
Description=certificate of this machine for quorate
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
Environment=AWS_REGION=@{AWS::Region}
ExecStart=/usr/local/lib/quorate/certify
`

const certifyTimer = `[Unit]
Description=weekly certificate of this machine for quorate

[Timer]
OnCalendar=weekly
RandomizedDelaySec=1d
Persistent=yes

[Install]
WantedBy=timers.target
`
