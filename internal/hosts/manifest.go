package hosts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Manifest is what a release consists of, each part by its SHA-256 in hex; an
// absent part is empty. A release is a directory on a host that holds one
// version of everything, so that changing to another, and back, is one link.
type Manifest struct {
	Cluster     string // the cluster's name, no sum
	DataDir     string // no sum either
	Binary      string
	Config      string
	Environment string
	Unit        string
	Files       string // of all uploaded files and their names
	Peers       string
}

func (m Manifest) parts() [][2]string {
	return [][2]string{{"cluster", m.Cluster}, {"data_dir", m.DataDir}, {"binary", m.Binary}, {"config", m.Config}, {"environment", m.Environment},
		{"unit", m.Unit}, {"files", m.Files}, {"peers", m.Peers}}
}

// Text is the manifest's file: a line KEY=VALUE a part.
func (m Manifest) Text() string {
	var b strings.Builder
	for _, p := range m.parts() {
		fmt.Fprintf(&b, "%s=%s\n", p[0], p[1])
	}
	return b.String()
}

// ID is the release's name: equal manifests have equal ones.
func (m Manifest) ID() string { return Sum([]byte(m.Text()))[:16] }

// None says that there is no release.
func (m Manifest) None() bool { return m == Manifest{} }

// Restarts are the parts in which next differs that a running agent does not
// take over by itself.
func (m Manifest) Restarts(next Manifest) []string { return m.started().Differs(next.started()) }

// started is the manifest of what a process is started from: peers and TLS
// files are read again while it runs.
func (m Manifest) started() Manifest {
	m.Files, m.Peers = "", ""
	return m
}

// Start names what a process of this release is started from. Each process
// carries it in its environment: by that alone one can tell, whatever has been
// installed since, what it is that runs.
func (m Manifest) Start() string { return m.started().ID() }

// Differs are all parts in which next differs.
func (m Manifest) Differs(next Manifest) []string {
	ours, theirs := m.parts(), next.parts()
	var out []string
	for i, p := range ours {
		if p != theirs[i] {
			out = append(out, p[0])
		}
	}
	return out
}

// ParseManifest reads Text; what it does not know it passes over.
func ParseManifest(text string) Manifest {
	v := map[string]string{}
	for l := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(l), "="); ok {
			v[key] = value
		}
	}
	return Manifest{Cluster: v["cluster"], DataDir: v["data_dir"], Binary: v["binary"], Config: v["config"], Environment: v["environment"],
		Unit: v["unit"], Files: v["files"], Peers: v["peers"]}
}

// Sum is data's SHA-256 in hex; empty for nil, which is nothing at all.
func Sum(data []byte) string {
	if data == nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
