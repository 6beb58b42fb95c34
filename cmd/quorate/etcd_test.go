package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/quorate/quorate/internal/clustertest/process"
	"github.com/quorate/quorate/internal/gate"
)

// runsAs gives what the built-in etcd prints, times and places left out, and its exit code,
// with and without a gate asked for.
func runsAs(t *testing.T, env []string, args ...string) (stock, gated string) {
	t.Helper()
	times := regexp.MustCompile(`"ts":"[^"]*",|"caller":"[^"]*",|,"stacktrace":"[^"]*"`)
	run := func(more ...string) string {
		var out bytes.Buffer
		cmd := exec.Command(program, append([]string{"etcd"}, args...)...)
		cmd.Env = slices.Concat(os.Environ(), env, more)
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run() // its state says how it ended
		return times.ReplaceAllString(out.String(), "") + cmd.ProcessState.String()
	}
	return run(), run(gate.Env(t.TempDir()))
}

// TestGatedEtcdAnswersAsEtcd: what is not a start is said by etcd itself, gate or
// none: its version, its help, and what is wrong with flags and variables.
func TestGatedEtcdAnswersAsEtcd(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"version", nil, []string{"--data-dir=x", "--version"}, "etcd Version: 3."},
		{"help", nil, []string{"--help"}, "--initial-cluster-token"},
		{"unknown", nil, []string{"--bogus=1", "--version"}, "flag provided but not defined: -bogus"},
		{"value", nil, []string{"--snapshot-count=many"}, "invalid value"},
		{"argument", nil, []string{"--data-dir=x", "more"}, "is not a valid flag"},
		{"invalid", nil, []string{"--data-dir=x", "--heartbeat-interval=1000", "--election-timeout=1000"}, "should be at least as 5 times as"},
		{"shadowed", []string{"ETCD_NAME=y"}, []string{"--name=x", "--data-dir=x"}, "is shadowed by"},
		{"file", nil, []string{"--config-file=/does/not/exist"}, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stock, gated := runsAs(t, test.env, test.args...)
			if !strings.Contains(stock, test.want) {
				t.Errorf("etcd does not say %q: %s", test.want, stock)
			}
			if end := stock[strings.LastIndex(strings.TrimSuffix(stock, "\n"), test.want):]; !strings.HasSuffix(gated, end) {
				t.Errorf("with a gate it says\n%s\nand without\n%s", gated, stock)
			}
		})
	}
}

// TestEveryEtcdFlagKeepsTheGate: an etcd of a newer module may have flags that we
// do not know; with one of these it would silently have no gate.
func TestEveryEtcdFlagKeepsTheGate(t *testing.T) {
	help, err := exec.Command(program, "etcd", "--help").CombinedOutput()
	must(t, err)
	fs, _, _ := etcdFlags(embed.NewConfig())
	known := 0
	for _, m := range regexp.MustCompile(`(?m)^ +--([a-z0-9-]+)`).FindAllStringSubmatch(string(help), -1) {
		switch name := m[1]; {
		case fs.Lookup(name) != nil:
			known++
		case !slices.Contains([]string{"version", "discovery", "discovery-proxy", "discovery-fallback", "v2-deprecation"}, name):
			t.Errorf("--%s is etcd's, and we do not know it", name)
		}
	}
	if known < 80 {
		t.Errorf("%d flags found in etcd's help", known)
	}
}

// TestEtcdConfig: flags, variables and a file come out as etcd takes them.
func TestEtcdConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ETCD_SNAPSHOT_COUNT", "123")
	cfg, ok := etcdConfigOf([]string{"--name=n", "--data-dir=" + dir, "--listen-client-urls=http://127.0.0.1:1", "--advertise-client-urls=http://127.0.0.1:1",
		"--listen-peer-urls=http://127.0.0.1:2", "--initial-advertise-peer-urls=http://127.0.0.1:2", "--initial-cluster=n=http://127.0.0.1:2",
		"--initial-cluster-state=existing", "--log-outputs=stdout", "--max-concurrent-streams=77", "--cors=http://a:80", "--host-whitelist=b"})
	switch {
	case !ok:
		t.Fatal("not taken")
	case cfg.SnapshotCount != 123, cfg.ClusterState != "existing", cfg.ListenClientUrls[0].Host != "127.0.0.1:1", cfg.AdvertisePeerUrls[0].Host != "127.0.0.1:2",
		cfg.MaxConcurrentStreams != 77, len(cfg.CORS) != 1, len(cfg.HostWhitelist) != 1, cfg.InitialCluster != "n=http://127.0.0.1:2", cfg.LogOutputs[0] != "stdout":
		t.Errorf("%+v", cfg)
	}
	file := filepath.Join(dir, "etcd.yaml")
	must(t, os.WriteFile(file, []byte("name: f\ndata-dir: "+dir+"\n"), 0o600))
	if cfg, ok := etcdConfigOf([]string{"--config-file=" + file}); !ok || cfg.Name != "f" {
		t.Errorf("of a file: %+v, %t", cfg, ok)
	}
}

// TestSignalEndsEtcd: one that has never followed a leader ends at a signal, as
// etcd alone does: nobody is served who would have to be seen off. A next epoch's
// seed, or its fence, waits for that.
func TestSignalEndsEtcd(t *testing.T) {
	dir := t.TempDir()
	client, own, other := "http://"+process.FreeAddr(t), "http://"+process.FreeAddr(t), "http://"+process.FreeAddr(t)
	cmd := exec.Command(program, "etcd", "--name=a", "--data-dir="+filepath.Join(dir, "data"), "--initial-cluster=a="+own+",b="+other,
		"--listen-peer-urls="+own, "--initial-advertise-peer-urls="+own, "--listen-client-urls="+client, "--advertise-client-urls="+client)
	cmd.Env = append(os.Environ(), gate.Env(dir))
	said, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	r := &rig{t: t}
	r.eventually(30*time.Second, "it looks for a leader", func() error {
		raw, err := os.ReadFile(said.Name())
		if err == nil && !bytes.Contains(raw, []byte("sent MsgPreVote")) {
			err = errors.New(tail(raw, 1000))
		}
		return err
	})
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-ended:
	case <-time.After(15 * time.Second): // below the agent's limit, after which it kills
		t.Fatal("it runs on")
	}
	if s := cmd.ProcessState.String(); s != "signal: terminated" {
		t.Errorf("it ended by %q", s)
	}
}
