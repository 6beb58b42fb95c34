package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/durable"
)

// devState is DIR/dev.json: the machines that a dev cluster has and has had.
// The peers file is made of it.
type devState struct {
	Size     int       `json:"size"`
	BasePort int       `json:"base_port"`
	Nodes    []devNode `json:"nodes"`
	dir      string
}

type devNode struct {
	Name     string    `json:"name"`
	Client   int       `json:"client_port"`
	Launched time.Time `json:"launched"`
	Lost     bool      `json:"lost,omitempty"`
}

func (s devState) peersFile() string { return filepath.Join(s.dir, "peers.yaml") }

// openDev reads a dev cluster, or makes a new one. A size or a port of 0 is not
// given.
func openDev(dir string, size, basePort int) (devState, error) {
	s, err := readDev(dir)
	switch {
	case err == nil && size > 0 && size != s.Size:
		s.Size = size
		return s, s.save(dir)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return s, err
	}
	s = devState{Size: cmp.Or(size, 3), BasePort: cmp.Or(basePort, 2379), dir: dir}
	for i := range s.Size {
		if _, err := s.add("n" + strconv.Itoa(i+1)); err != nil {
			return s, err
		}
	}
	if err := s.portsFree(); err != nil { // before the ports are written down for good
		return s, err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return s, usage{fmt.Errorf("dir: %w", err)}
	}
	return s, s.save(dir)
}

func readDev(dir string) (devState, error) {
	s := devState{dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil {
		return s, usage{fmt.Errorf("dir: no dev cluster here: %w", err)}
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, usage{fmt.Errorf("dir: %s/dev.json: %w", dir, err)}
	}
	return s, nil
}

// save writes the peers file first: a machine is announced before it starts,
// and gone from the file before it is buried.
func (s devState) save(dir string) error {
	type peer struct {
		Name       string `yaml:"name"`
		Host       string `yaml:"host"`
		Launched   string `yaml:"launched"`
		ClientPort int    `yaml:"client_port"`
		PeerPort   int    `yaml:"peer_port"`
		AgentPort  int    `yaml:"agent_port"`
	}
	var peers []peer
	for _, n := range s.Nodes {
		if !n.Lost {
			peers = append(peers, peer{n.Name, "127.0.0.1", n.Launched.Format(time.RFC3339), n.Client, n.Client + 1, n.Client - 1})
		}
	}
	raw, err := yaml.Marshal(peers)
	if err == nil {
		err = durable.WriteFile(s.peersFile(), raw, 0o600)
	}
	if err != nil {
		return err
	}
	raw, err = json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "dev.json"), raw, 0o600)
}

var devName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,30}$`)

func (s *devState) add(name string) (devNode, error) {
	if !devName.MatchString(name) {
		return devNode{}, usage{fmt.Errorf("node: %q: want letters, digits, dots and dashes", name)}
	}
	n := devNode{Name: name, Client: s.BasePort + 10*len(s.Nodes), Launched: time.Now().UTC().Truncate(time.Second)}
	s.Nodes = append(s.Nodes, n)
	return n, nil
}

func (s devState) node(name string) (devNode, error) {
	var names []string
	for _, n := range s.Nodes {
		if n.Name == name {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return devNode{}, usage{fmt.Errorf("node: no %q here; there are %s", name, strings.Join(names, ", "))}
}

func (s *devState) set(name string, change func(*devNode)) {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			change(&s.Nodes[i])
		}
	}
}

// changeDev makes one change at a time.
func changeDev(dir string, change func(*devState) error) error {
	s, err := readDev(dir)
	if err != nil {
		return err
	}
	release, err := flock(filepath.Join(dir, "change.lock"), true)
	if err != nil {
		return err
	}
	defer release()
	if s, err = readDev(dir); err != nil {
		return err
	}
	return change(&s)
}

// supervise makes sure that one `quorate dev` runs a directory.
func (s devState) supervise() (release func(), err error) {
	release, err = flock(filepath.Join(s.dir, "dev.lock"), false)
	if err != nil {
		return nil, usage{fmt.Errorf("dir: another `quorate dev` runs in %s", s.dir)}
	}
	return release, nil
}

func flock(path string, wait bool) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (n devNode) dataDir(dir string) string { return filepath.Join(dir, "nodes", n.Name) }
func (n devNode) pidFile(dir string) string { return filepath.Join(dir, "nodes", n.Name+".pid") }

// killEtcd kills the etcd that the node's agent has recorded.
func (n devNode) killEtcd(dir string) (int, error) {
	var id struct {
		PID int `json:"pid"`
	}
	raw, err := os.ReadFile(filepath.Join(n.dataDir(dir), "etcd.pid.json"))
	if err == nil {
		err = json.Unmarshal(raw, &id)
	}
	if err != nil || id.PID <= 1 || !isQuorate(id.PID) {
		return 0, fmt.Errorf("no etcd of %s runs", n.Name)
	}
	return id.PID, syscall.Kill(id.PID, syscall.SIGKILL)
}

// killAll kills the agent first, so that it starts no etcd again.
func (n devNode) killAll(dir string) {
	if pid, runs := n.agent(dir); runs {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_, _ = n.killEtcd(dir) // it may not run
}

// isQuorate says that the process is this very program: a pid file may be old.
func isQuorate(pid int) bool {
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	ours, ownErr := os.Executable()
	return err == nil && ownErr == nil && strings.TrimSuffix(theirs, " (deleted)") == ours
}

// bury keeps a lost machine's directory out of reach, as a dead disk is.
func (n devNode) bury(dir string) error {
	to := filepath.Join(dir, "lost", n.Name+"-"+time.Now().UTC().Format("20060102T150405"))
	if err := durable.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	err := os.Rename(n.dataDir(dir), to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func withoutQuorateEnv(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "QUORATE_") && !strings.HasPrefix(e, "ETCD_") {
			out = append(out, e)
		}
	}
	return out
}
