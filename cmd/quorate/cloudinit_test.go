package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/unit"
)

// cloudFiles is user data, and the files that it writes.
func cloudFiles(t *testing.T, args ...string) (text string, files map[string]string) {
	t.Helper()
	out, err := exec.Command(program, append([]string{"cloud-init"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var c unit.CloudConfig
	must(t, yaml.Unmarshal(out, &c))
	files = map[string]string{}
	for _, f := range c.WriteFiles {
		files[f.Path] = f.Content
	}
	if len(c.RunCmd) != 1 || files[c.RunCmd[0][0]] == "" {
		t.Errorf("it runs %v", c.RunCmd)
	}
	return string(out), files
}

// TestCloudInit: user data that cloud-init's own schema, systemd and shellcheck
// accept.
func TestCloudInit(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	for name, args := range map[string][]string{
		"in the image": {"--peers", "dns+srv://example.org", "--store", "s3://b?prefix=p&region=r"},
		"fetched": {"--url", "https://example.org/quorate?a=it's", "--sha256", sum, "--peers", "a=10.0.0.1,b=10.0.0.2", "--size", "2", "--data-dir", "/data/etcd-keeper",
			"--store", "file:///srv/store", "--", "--quota-backend-bytes=8589934592"},
	} {
		t.Run(name, func(t *testing.T) {
			text, files := cloudFiles(t, args...)
			dir := t.TempDir()
			data := filepath.Join(dir, "user-data")
			must(t, os.WriteFile(data, []byte(text), 0o600))
			if out, err := exec.Command(apt.Need(t, "/usr/bin/cloud-init", "cloud-init"), "schema", "--config-file", data).CombinedOutput(); err != nil || !strings.Contains(string(out), "Valid") {
				t.Errorf("%v: %s", err, out)
			}
			for _, script := range []string{"setup", "fetch"} {
				file := filepath.Join(dir, script+".sh")
				must(t, os.WriteFile(file, []byte(files["/usr/local/lib/quorate/"+script]), 0o600))
				if out, err := exec.Command(apt.Need(t, "/usr/bin/shellcheck", "shellcheck"), "--exclude=SC1091,SC2154", file).CombinedOutput(); err != nil {
					t.Errorf("%s: %s", script, out)
				}
			}
			soundUnit(t, files["/etc/systemd/system/quorate.service"], "/usr/local/bin/quorate")
			want := "1"
			if name == "fetched" {
				want = "it%27s|" + sum + "|/data/etcd-keeper|1"
			}
			out, err := exec.Command("bash", "-euc", files["/etc/quorate/setup.conf"]+`echo "${URL#*=}|$SHA256|$DATA_DIR|1"`).CombinedOutput()
			if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), want) {
				t.Errorf("the scripts read %s, want %s: %v", out, want, err)
			}
		})
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

// soundUnit wants systemd to accept the service, and to find it confined.
func soundUnit(t *testing.T, text, command string) {
	t.Helper()
	analyze := apt.Need(t, "/usr/bin/systemd-analyze", "systemd")
	file := filepath.Join(t.TempDir(), "quorate.service")
	must(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, "ExecStart="+command+" ", "ExecStart="+program+" ")), 0o644))
	out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "quorate.service") {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
	out, err = exec.Command(analyze, "security", "--offline=true", "--no-pager", file).CombinedOutput()
	if m := exposure.FindSubmatch(out); err != nil || m == nil || len(m[1]) != 3 || string(m[1]) >= "2.0" {
		t.Errorf("want an exposure below 2.0 of 10: %v: %s", err, out)
	}
}

// TestSSHUnit: the service that `ssh deploy` writes.
func TestSSHUnit(t *testing.T) {
	t.Parallel()
	d := deployment{cmd: &sshDeployCmd{}}
	d.cmd.DataDir, d.cmd.Store, d.cmd.BackupCopy = "/var/lib/quorate", "file:///srv/store", "file:///mnt/copy?prefix=p"
	text := d.unit()
	soundUnit(t, text, "/opt/quorate/current/quorate")
	for _, want := range []string{"# written by quorate ssh deploy", "ReadWritePaths=/var/lib/quorate -/srv/store -/mnt/copy\n", "KillMode=process\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
}

// TestCloudInitBoots: on a host of its own, cloud-init's own modules write the
// files and run the setup, and the agent founds a cluster.
func TestCloudInitBoots(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	apt.Need(t, "/usr/bin/cloud-init", "cloud-init")
	h := r.boot("a", 11, nil)
	text, _ := cloudFiles(t, "--cluster", "test", "--peers", "a="+h.addr, "--size", "1", "--founding-wait", "1s", "--store", "file:///srv/store", "--program", "/usr/local/bin/quorate")
	must(t, os.WriteFile(filepath.Join(r.dir, "user-data"), []byte(text), 0o644))
	file := filepath.Join(r.dir, "user-data")
	h.sh("cp " + program + " /usr/local/bin/quorate && cp " + file + " /root/user-data")
	h.sh("mkdir -p /etc/quorate && printf 'QUORATE_NAME=a\nQUORATE_HOST=" + h.addr + "\n' > /etc/quorate/environment") // its host name is the test machine's
	h.sh("mkdir -p /var/lib/cloud/instance/scripts /var/lib/cloud/instance/sem /run/cloud-init")
	t.Log(h.sh(`python=$(head -1 /usr/bin/cloud-init | tr -d '#!'); $python - <<'EOF'
import logging, os, subprocess
from cloudinit import util
from cloudinit.config import cc_write_files
cfg = util.load_yaml(open('/root/user-data').read())
cc_write_files.write_files('write_files', cfg['write_files'], 'root:root')
script = util.shellify(cfg['runcmd'])
open('/root/runcmd', 'w').write(script)
os.chmod('/root/runcmd', 0o700)
subprocess.run(['/root/runcmd'], check=True)
EOF`))
	r.voters(60*time.Second, "a")
	if got := h.sh("stat -c %U /var/lib/quorate; systemctl is-enabled quorate.service"); got != "quorate\nenabled" {
		t.Errorf("the machine is %q", got)
	}
}

// TestCloudInitForAll: the user data is every machine's, and so names none; all
// problems are told at once.
func TestCloudInitForAll(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(program, "cloud-init", "--name", "x", "--host", "192.0.2.4", "--peers", "dns+srv://example.org", "--store", "s3://b?prefix=p&region=r").CombinedOutput()
	for _, want := range []string{`name: "x": is each machine's own`, `host: "192.0.2.4": is each machine's own`} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("want %s: %v: %s", want, err, out)
		}
	}
}
