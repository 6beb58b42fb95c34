package deploy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/ssh"
)

// Where things are on a host.
const (
	Base = "/opt/quorate"
	// Current leads to the release in force.
	Current = Base + "/current"
	// FilesDir holds what was uploaded beside program and configuration.
	FilesDir = Current + "/files"
	// UnitNote begins the service's file: by it we know our own.
	UnitNote = "written by quorate ssh deploy: run that again instead of changing this"
)

// Release is what one host is to run.
type Release struct {
	Cluster string
	DataDir string
	Binary  string // SHA-256
	Config  []byte // YAML, for --config
	Unit    []byte
	// Environment is an EnvironmentFile: root's alone.
	Environment []byte
	// Peers is the peers file; nil where the peers come from elsewhere.
	Peers []byte
	// Files are secrets and the like, by name: quorate's alone.
	Files map[string][]byte
	// Target are the flags by which a client on the host reaches its agent.
	Target []string
}

// Manifest is the release by its sums.
func (r Release) Manifest() hosts.Manifest {
	return hosts.Manifest{Cluster: r.Cluster, DataDir: r.DataDir, Binary: r.Binary, Config: hosts.Sum(slices.Concat(r.Config, r.ask())),
		Environment: hosts.Sum(slices.Concat(r.Environment, []byte(startVariable))), Unit: hosts.Sum(r.Unit), Files: r.filesSum(), Peers: hosts.Sum(r.Peers)}
}

func (r Release) filesSum() string {
	if len(r.Files) == 0 {
		return ""
	}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		fmt.Fprintf(all, "%s %d\n", name, len(r.Files[name]))
		all.Write(r.Files[name])
	}
	return hex.EncodeToString(all.Sum(nil))
}

// ask is a script that runs the host's own program against the host's own
// agent, whatever its port and certificates are.
func (r Release) ask() []byte {
	var b bytes.Buffer
	b.WriteString("#!/bin/sh\n# ask COMMAND …: quorate, told how to reach this host's agent\nset -a\n. " + Current + "/environment\nset +a\n" +
		"if [ \"${1:-}\" = explain ]; then exec " + Current + "/quorate \"$@\" --config=" + Current + "/config.yaml; fi\n" + // asks no agent
		"exec " + Current + "/quorate \"$@\"")
	for _, word := range r.Target {
		b.WriteString(" " + ssh.Quote(word))
	}
	b.WriteString("\n")
	return b.Bytes()
}

// startVariable is the environment's last line: it tells of a process what it
// was started from. look.sh reads it of the one that runs.
const startVariable = "QUORATE_SSH_START"

func (r Release) environment() []byte {
	return fmt.Appendf(slices.Clone(r.Environment), "%s=%s\n", startVariable, r.Manifest().Start())
}

// contents are the release's files, and the order to write them in.
func (r Release) contents() (map[string][]byte, []string) {
	all := map[string][]byte{"manifest": []byte(r.Manifest().Text()), "config.yaml": r.Config, "environment": r.environment(),
		"quorate.service": r.Unit, "ask": r.ask()}
	if r.Peers != nil {
		all["peers.yaml"] = r.Peers
	}
	for name, data := range r.Files {
		all["files/"+name] = data
	}
	return all, slices.Sorted(maps.Keys(all))
}
