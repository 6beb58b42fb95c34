package stack

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/pyvenv"
)

func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// machineFiles are what cloud-init writes, as it reads them.
func machineFiles(t *testing.T, n named) map[string]string {
	t.Helper()
	var config cloudConfig
	if err := yaml.Unmarshal([]byte(resolvedUserData(t, n)), &config); err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	out := map[string]string{}
	for _, f := range config.WriteFiles {
		out[f.Path] = f.Content
	}
	return out
}

func TestUserDataIsCloudInits(t *testing.T) {
	cloudInit := apt.Need(t, "/usr/bin/cloud-init", "cloud-init")
	for _, n := range distinct(t) {
		file := filepath.Join(t.TempDir(), "user-data")
		if err := os.WriteFile(file, []byte(resolvedUserData(t, n)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, nil, cloudInit, "schema", "--config-file", file); err != nil || !strings.Contains(out, "Valid") {
			t.Errorf("%s: %v: %s", n.name, err, out)
		}
	}
}

// cloud-init passes over keys that it does not know.
func TestSetupIsRun(t *testing.T) {
	for _, n := range single(t) {
		var config map[string]any
		if err := yaml.Unmarshal([]byte(resolvedUserData(t, n)), &config); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(config["runcmd"]); got != "[[/usr/local/lib/quorate/setup]]" || len(slice(config["write_files"])) < 5 || len(config) != 2 {
			t.Errorf("%s: runcmd %v among %d keys", n.name, got, len(config))
		}
	}
}

// What went through YAML twice and Fn::Sub is still the script of the tree.
func TestScriptsArrive(t *testing.T) {
	for _, n := range single(t) {
		files := machineFiles(t, n)
		for path, want := range map[string]string{"setup": setupScript, "volume": volumeScript, "fetch": fetchScript, "certify": certifyScript, "keys": keysScript} {
			got := files["/usr/local/lib/quorate/"+path]
			if path == "certify" && !n.params.tls() || path == "keys" && !n.params.sealed() {
				want = ""
			}
			if got != want {
				t.Errorf("%s: %s is\n%s\nwant\n%s", n.name, path, got, want)
			}
		}
	}
}

func TestScriptsAreSound(t *testing.T) {
	bin, err := pyvenv.Install(t.Context(), "shellcheck")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("boot/*.sh")
	if err != nil || len(scripts) != 5 {
		t.Fatalf("scripts %v: %v", scripts, err)
	}
	for _, script := range scripts {
		if out, err := run(t, nil, "bash", "-n", script); err != nil {
			t.Errorf("%s: %s", script, out)
		}
	}
	args := append([]string{"--severity=style", "--exclude=SC1090,SC1091,SC2154"}, scripts...) // these are about the sourced setup.conf
	if out, err := run(t, nil, filepath.Join(bin, "shellcheck"), args...); err != nil {
		t.Error(out)
	}
	for _, n := range distinct(t) {
		conf := filepath.Join(t.TempDir(), "setup.conf")
		if err := os.WriteFile(conf, []byte(machineFiles(t, n)["/etc/quorate/setup.conf"]), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, nil, "bash", "-euc", `. "$0"; echo "$STACK|$GROUP|$BINARY_URL|$ETCD_URL|$IMAGE|$TLS_PATH|$AWS_REGION"`, conf)
		etcdURL, path := "", ""
		if n.params.ownEtcd() {
			etcdURL = n.params.etcdURL()
		}
		if n.params.tls() {
			path = n.params.TLS
		}
		want := strings.Join([]string{n.params.Stack, GroupResource, n.params.BinaryURL, etcdURL, n.params.Image, path, "eu-central-1"}, "|") + "\n"
		if err != nil || out != want {
			t.Errorf("%s: the scripts read %q, want %q: %v", n.name, out, want, err)
		}
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

func TestUnitsAreSystemds(t *testing.T) {
	analyze := apt.Need(t, "/usr/bin/systemd-analyze", "systemd")
	self, err := os.Executable() // systemd wants the command to be there
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range distinct(t) {
		dir := t.TempDir()
		for path, text := range machineFiles(t, n) {
			if !strings.HasPrefix(path, "/etc/systemd/system/") {
				continue
			}
			text = strings.NewReplacer("="+binPath+" ", "="+self+" ", "/usr/bin/docker ", self+" ", "/usr/local/lib/quorate/certify", self).Replace(text)
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		units, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(units) == 0 {
			t.Fatalf("%s: no units: %v", n.name, err)
		}
		out, err := run(t, nil, analyze, append([]string{"verify", "--man=no"}, units...)...)
		if err != nil || strings.Contains(out, dir) || strings.Contains(out, "quorate") {
			t.Errorf("%s: %v: %s", n.name, err, out)
		}
		if n.params.Image != "" {
			continue // docker confines it
		}
		out, err = run(t, nil, analyze, "security", "--offline=true", "--no-pager", filepath.Join(dir, "quorate.service"))
		if m := exposure.FindStringSubmatch(out); err != nil || m == nil || len(m[1]) != 3 || m[1] >= "2.0" {
			t.Errorf("%s: want an exposure below 2.0 of 10: %v: %s", n.name, err, out)
		}
	}
}

// fetch is the guard between a download and a running binary: run for real.
func TestFetch(t *testing.T) {
	const body = "#!/bin/sh\necho hello\n"
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/quorate":
			fmt.Fprint(w, body)
		case "/short":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, body)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	plainHTTP := httptest.NewServer(server.Config.Handler)
	defer plainHTTP.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o644); err != nil {
		t.Fatal(err)
	}
	right := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	for _, c := range []struct {
		name, url, sum, say string
		ok                  bool
	}{
		{"the right sum", server.URL + "/quorate", right, "", true},
		{"a wrong sum", server.URL + "/quorate", someSum, "refused", false},
		{"no sum", server.URL + "/quorate", "", "", false},
		{"not there", server.URL + "/none", right, "404", false},
		{"a download that breaks off", server.URL + "/short", right, "", false},
		{"plain HTTP", plainHTTP.URL + "/quorate", right, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "quorate")
			fetch := func() (string, error) {
				return run(t, []string{"CURL_CA_BUNDLE=" + ca}, "bash", "boot/fetch.sh", c.url, c.sum, file)
			}
			out, err := fetch()
			got, _ := filepath.Glob(filepath.Join(dir, "*"))
			if !c.ok {
				if err == nil || len(got) > 0 || !strings.Contains(out, c.say) {
					t.Fatalf("exit %v, files %v, said %q", err, got, out)
				}
				if err := os.WriteFile(file, []byte("the one before"), 0o755); err != nil {
					t.Fatal(err)
				}
				fetch()
				if text, err := os.ReadFile(file); err != nil || string(text) != "the one before" {
					t.Errorf("the file that was there became %q: %v", text, err)
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("exit %v, files %v, said %q", err, got, out)
			}
			if out, err := run(t, nil, file); err != nil || out != "hello\n" {
				t.Errorf("the installed program: %v: %q", err, out)
			}
		})
	}
}

// volume makes a file system on an empty disk only, run for real on a file.
func TestVolume(t *testing.T) {
	apt.Need(t, "/sbin/mkfs.ext4", "e2fsprogs")
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 64<<20); err != nil {
		t.Fatal(err)
	}
	identity := func() string {
		out, _ := run(t, nil, "blkid", "--probe", "--output", "value", "--match-tag", "UUID", disk)
		return strings.TrimSpace(out)
	}
	if out, err := run(t, nil, "bash", "boot/volume.sh", disk); err != nil || identity() == "" {
		t.Fatalf("an empty disk: %v: %s", err, out)
	}
	first := identity()
	if out, err := run(t, nil, "bash", "boot/volume.sh", disk); err != nil || identity() != first {
		t.Errorf("a disk with data was formatted: %v: %s", err, out)
	}
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("_BHRfS_M"), 0x10040); err != nil { // now it may be btrfs, too
		t.Fatal(err)
	}
	before := sum(t, disk)
	if out, err := run(t, nil, "bash", "boot/volume.sh", disk); err == nil || !strings.Contains(out, "blkid cannot tell") || sum(t, disk) != before {
		t.Errorf("a disk of two minds: %v: %s", err, out)
	}
	if _, err := run(t, nil, "bash", "boot/volume.sh", disk+"-gone"); err == nil {
		t.Error("a disk that is not there was mounted")
	}
}

func sum(t *testing.T, file string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}
