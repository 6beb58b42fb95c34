package main

import (
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/deploy"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/smallfile"
	"github.com/quorate/quorate/internal/unit"
)

// deployment is what `ssh deploy` has made of its flags.
type deployment struct {
	cmd    *sshDeployCmd
	hosts  []hosts.Host
	path   string // of the binary
	binary deploy.Binary
	each   map[string]deploy.Release // by the host's name
	packed string                    // path of the compressed binary, once it is made
}

// fleet is the hosts, each with what it is to run.
func (d *deployment) fleet(nodes []*deploy.Node, say func(host, line string)) *deploy.Fleet {
	for _, n := range nodes {
		n.Release = d.each[n.Name]
	}
	c := d.cmd.Config
	size := c.Size.Voters()
	d.binary.Pack = sync.OnceValues(d.pack)
	return &deploy.Fleet{Nodes: nodes, Binary: d.binary, Cluster: c.Cluster, DataDir: c.DataDir, Ports: portsOf(c), Listen: c.ListenHost,
		Limits: hosts.Limits{Clock: d.cmd.MaxClock, Fsync: d.cmd.MaxFsync, Free: leastFree, Program: 3 * d.binary.Size / 2},
		Size:   size, Within: d.cmd.Within, Say: say}
}

func portsOf(c config.Config) []hosts.Port {
	return []hosts.Port{{Key: "client-port", Number: c.ClientPort}, {Key: "peer-port", Number: c.PeerPort}, {Key: "agent-port", Number: c.AgentPort}}
}

// releases makes what each host is to run.
func (d *deployment) releases() []error {
	d.each = map[string]deploy.Release{}
	c := d.cmd.Config
	var problems []error
	for key, given := range map[string]string{"name": c.Name, "host": c.Host, "zone": c.Zone} {
		if given != "" {
			problems = append(problems, fmt.Errorf("%s: %q: is each host's own: --hosts tells", key, given))
		}
	}
	if _, err := netip.ParseAddr(c.ListenHost); c.ListenHost != "" && err != nil {
		problems = append(problems, fmt.Errorf("listen-host: %q: want an IP address", c.ListenHost))
	}
	environment, err := environmentFile(d.cmd.Env, os.LookupEnv)
	problems = append(problems, err)
	told := map[string]bool{} // what is wrong with all hosts alike is said once
	all, items := d.hosts, d.cmd.Files
	if len(all) == 0 { // which is told: what else is wrong, a stand-in shows
		all, items = []hosts.Host{{Name: "a", Address: "192.0.2.1"}}, slices.DeleteFunc(slices.Clone(items), func(item string) bool { return strings.Contains(item, "{") })
	}
	for _, h := range all {
		r, errs := d.release(h, environment, items)
		for _, err := range errs {
			if err != nil && !told[err.Error()] {
				told[err.Error()] = true
				problems = append(problems, err)
			}
		}
		d.each[h.Name] = r
	}
	return problems
}

func (d *deployment) release(h hosts.Host, environment []byte, items []string) (deploy.Release, []error) {
	fill := placeholders(h)
	c := d.cmd.Config
	r := deploy.Release{Cluster: c.Cluster, DataDir: c.DataDir, Binary: d.binary.Sum, Environment: environment, Unit: []byte(d.unit())}
	c.File, c.Name, c.Host = "", h.Name, h.Address
	c.Peers, c.DNS = fill.Replace(c.Peers), fill.Replace(c.DNS) // URLs are checked as the host will have them
	if c.Peers == "" {
		c.Peers = "file://" + deploy.Current + "/peers.yaml"
		r.Peers = peersFile(d.hosts)
	}
	problems := c.ValidateElsewhere()
	text, err := c.YAML()
	problems = append(problems, err)
	r.Config = []byte(fill.Replace(string(text)))
	for _, word := range targetOf(c) {
		r.Target = append(r.Target, fill.Replace(word))
	}
	problems = append(problems, d.unseen(fill)...)
	r.Files, err = uploads(items, fill)
	return r, append(problems, err)
}

// peersFile lists the hosts for their agents, who read it again each second. It
// is the same in whatever order --hosts names them.
func peersFile(all []hosts.Host) []byte {
	var b strings.Builder
	for _, h := range slices.SortedFunc(slices.Values(all), func(a, b hosts.Host) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(&b, "- {name: %q, host: %q}\n", h.Name, h.Address)
	}
	return []byte(b.String())
}

// targetOf are the flags by which a client on the host reaches its agent.
func targetOf(c config.Config) []string {
	out := []string{"--agent=" + net.JoinHostPort(c.Host, strconv.Itoa(c.AgentPort))}
	files := (&wiring{cfg: c}).agentFiles()
	for _, f := range []keyedPath{{"cert-file", files.Cert}, {"key-file", files.Key}, {"trusted-ca-file", files.CA}} {
		if f.path != "" {
			out = append(out, "--"+f.key+"="+f.path)
		}
	}
	return out
}

func (d *deployment) unit() string {
	return unit.Service{Note: deploy.UnitNote, DataDir: filepath.Clean(d.cmd.DataDir), Environment: []string{"EnvironmentFile=" + deploy.Current + "/environment"},
		Command:     deploy.Current + "/quorate run --config=" + deploy.Current + "/config.yaml",
		Confinement: d.confinement()}.Text()
}

// environmentFile is for systemd and for sh alike: both take the same escapes
// between double quotes.
func environmentFile(names []string, look func(string) (string, bool)) ([]byte, error) {
	out := []byte{}
	var problems []error
	for _, name := range names {
		value, ok := look(name)
		bare, _, _ := strings.Cut(name, "=") // what follows may be a secret
		switch {
		case !variable.MatchString(name):
			problems = append(problems, fmt.Errorf("env: %q: want a variable's name alone; its value is taken from the environment here", bare))
		case !ok:
			problems = append(problems, fmt.Errorf("env: %s is not set here", name))
		case strings.ContainsAny(value, "\n\r\x00"):
			problems = append(problems, fmt.Errorf("env: %s holds a line break", name))
		}
		out = fmt.Appendf(out, "%s=\"%s\"\n", name, strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value))
	}
	return out, errors.Join(problems...)
}

var (
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	uploadName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$`)
)

// uploads reads the files to upload: NAME=FILE.
func uploads(items []string, fill *strings.Replacer) (map[string][]byte, error) {
	out := map[string][]byte{}
	var problems []error
	for _, item := range items {
		name, path, ok := strings.Cut(item, "=")
		if !ok || !uploadName.MatchString(name) {
			problems = append(problems, fmt.Errorf("file: %q: want NAME=FILE, the name of letters, digits, dots, dashes and underscores", name))
			continue
		}
		path = fill.Replace(path)
		data, err := smallfile.ReadAny(path)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("file: %s: %w", name, unread(path, err)))
		case out[name] != nil:
			problems = append(problems, fmt.Errorf("file: %s: given twice", name))
		}
		out[name] = append([]byte{}, data...)
	}
	return out, errors.Join(problems...)
}

// unread is why a file to upload is not read. Its path is told only where its
// directory exists: people put the secret itself there.
func unread(path string, err error) error {
	if _, lost := os.Stat(filepath.Dir(path)); lost == nil && strings.Contains(path, "/") {
		return err
	}
	return publish.WithoutPath("its FILE", err)
}

// machines are the ELF machines by uname's names.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64"}

// readBinary finds out what the binary is.
func (d *deployment) readBinary() error {
	d.path = d.cmd.Binary
	if d.path == "" {
		var err error
		if d.path, err = os.Executable(); err != nil {
			return fmt.Errorf("binary: %w", err)
		}
	}
	program, err := elf.Open(d.path)
	if err != nil {
		return fmt.Errorf("binary: %s is no program for Linux: give --binary (%w)", d.path, err)
	}
	defer program.Close()
	if d.binary.Arch = machines[program.Machine]; d.binary.Arch == "" {
		return fmt.Errorf("binary: %s is for %s, which we do not know", d.path, program.Machine)
	}
	f, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("binary: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if d.binary.Size, err = io.Copy(sum, f); err != nil {
		return fmt.Errorf("binary: %w", err)
	}
	d.binary.Sum = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// pack compresses the binary, for all hosts that lack it.
func (d *deployment) pack() (string, error) {
	in, err := os.Open(d.path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.CreateTemp("", "quorate-*.gz")
	if err != nil {
		return "", err
	}
	d.packed = out.Name()
	z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is one
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Close()); err != nil {
		return "", fmt.Errorf("compressing %s: %w", d.path, err)
	}
	return d.packed, nil
}

// clean takes the compressed binary away, if there is one.
func (d *deployment) clean() {
	if d.packed != "" {
		os.Remove(d.packed)
	}
}
