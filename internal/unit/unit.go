// Package unit is how a machine runs the agent: its systemd service, and
// cloud-init's description of a first boot. Pure text; whoever writes it to a
// machine is elsewhere.
package unit

import (
	"fmt"
	"strings"
)

// Service is the agent's systemd service. Its values are written as they are:
// what systemd would read as a mark of its own (%) is the caller's to escape.
type Service struct {
	// Note is a comment before everything; empty is none.
	Note string
	// After are services to start after, beside the network.
	After []string
	// DataDir is mounted before the start.
	DataDir string
	// Environment are lines Environment=… and EnvironmentFile=…, whole.
	Environment []string
	// Command is the whole command line.
	Command string
	// Confinement are the lines that confine it: Hardening's, or a container's.
	Confinement string
}

// Text is the unit's file. KillMode=process leaves etcd serving when the agent
// crashes; its orderly end stops etcd itself.
func (s Service) Text() string {
	var note, environment string
	if s.Note != "" {
		note = "# " + s.Note + "\n"
	}
	for _, line := range s.Environment {
		environment += line + "\n"
	}
	return fmt.Sprintf(`%s[Unit]
Description=quorate keeps this machine's etcd
After=%s
Wants=network-online.target
RequiresMountsFor=%s
StartLimitIntervalSec=0

[Service]
%sExecStart=%s
Restart=always
RestartSec=2
TimeoutStopSec=3min
KillMode=process
LimitNOFILE=65536
OOMScoreAdjust=-900
%s
[Install]
WantedBy=multi-user.target
`, note, strings.Join(append([]string{"network-online.target"}, s.After...), " "), s.DataDir, environment, s.Command, s.Confinement)
}

// Hardening takes from the agent and etcd what they can do without. Only the
// paths given are writable.
func Hardening(writable ...string) string {
	return `User=quorate
Group=quorate
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=` + strings.Join(writable, " ") + `
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
`
}
