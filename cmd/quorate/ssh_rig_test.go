package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
)

// sshRig is hosts that one can only SSH to: each a mount and a process
// namespace with OpenSSH's own server on an address of its own. Its files are
// its own over this machine's; what it lacks is systemd, whose place a script
// takes that starts the unit's own command line.
type sshRig struct {
	*rig
	config string // ssh_config
	hosts  map[string]*sshHost
}

// sshHost is one of them.
type sshHost struct {
	r    *sshRig
	name string
	addr string
	root string
	init *exec.Cmd
	log  bytes.Buffer
}

// newSSHRig needs root: for the namespaces.
func newSSHRig(t *testing.T) *sshRig {
	t.Helper()
	apt.Need(t, "/usr/sbin/sshd", "openssh-server")
	apt.Need(t, "/usr/bin/ssh", "openssh-client")
	if os.Geteuid() != 0 {
		t.Fatal("hosts with files of their own need root here")
	}
	r := &sshRig{rig: newRig(t), hosts: map[string]*sshHost{}}
	must(t, os.MkdirAll(filepath.Join(r.dir, "store"), 0o777))
	must(t, os.Chmod(filepath.Join(r.dir, "store"), 0o777))
	r.keygen(filepath.Join(r.dir, "id"))
	r.config = filepath.Join(r.dir, "ssh_config")
	must(t, os.WriteFile(r.config, fmt.Appendf(nil, "Host *\n  User root\n  IdentityFile %s/id\n  IdentitiesOnly yes\n  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile /dev/null\n", r.dir, r.dir), 0o600))
	return r
}

func (r *sshRig) keygen(path string) {
	r.t.Helper()
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput()
	if err != nil {
		r.t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// boot starts a host. Files are more of its own, by path: their text, and the
// mode 0755 where it begins with #!.
func (r *sshRig) boot(name string, number int, files map[string]string) *sshHost {
	r.t.Helper()
	h := &sshHost{r: r, name: name, addr: fmt.Sprintf("%s.%d", r.net, number), root: filepath.Join(r.dir, "host-"+name)}
	r.hosts[name] = h
	r.machine(name, number)
	key, err := os.ReadFile(filepath.Join(r.dir, "id.pub"))
	must(r.t, err)
	h.write("etc/ssh/sshd_config", fmt.Sprintf("ListenAddress %s:22\nHostKey /etc/ssh/host_key\nAuthorizedKeysFile /etc/ssh/authorized\nUsePAM no\nStrictModes no\nMaxStartups 100\nLogLevel ERROR\nPermitRootLogin prohibit-password\n", h.addr))
	h.write("etc/ssh/authorized", string(key))
	r.keygen(filepath.Join(h.root, "overlay/etc/ssh/host_key"))
	for _, program := range []string{"systemctl", "journalctl", "fake-supervisor"} {
		text, err := os.ReadFile(filepath.Join("testdata/sshhost", program))
		must(r.t, err)
		h.write("usr/bin/"+program, string(text))
	}
	for path, text := range files {
		h.write(path, text)
	}
	h.start()
	return h
}

func (h *sshHost) write(path, text string) {
	h.r.t.Helper()
	if path == "data-size" {
		must(h.r.t, os.MkdirAll(h.root, 0o755))
		must(h.r.t, os.WriteFile(filepath.Join(h.root, path), []byte(text), 0o644))
		return
	}
	full := filepath.Join(h.root, "overlay", path)
	must(h.r.t, os.MkdirAll(filepath.Dir(full), 0o755))
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	must(h.r.t, os.WriteFile(full, []byte(text), mode))
}

func (h *sshHost) start() {
	h.r.t.Helper()
	script, err := filepath.Abs("testdata/sshhost/init.sh")
	must(h.r.t, err)
	h.init = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script, h.root)
	h.init.Stdout, h.init.Stderr = &h.log, &h.log
	h.init.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics leaves no host
	must(h.r.t, h.init.Start())
	h.r.t.Cleanup(func() {
		_ = h.init.Process.Kill()
		_ = h.init.Wait()
		if h.r.t.Failed() {
			h.r.t.Logf("sshd of %s:\n%s", h.name, tail(h.log.Bytes(), 1500))
		}
	})
	h.r.eventually(20*time.Second, "sshd of "+h.name, func() error {
		c, err := net.DialTimeout("tcp", h.addr+":22", time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// sh runs a shell line on the host, by the test's own way in.
func (h *sshHost) sh(line string) string {
	h.r.t.Helper()
	out, err := h.try(line)
	if err != nil {
		h.r.t.Fatalf("%s: %s: %v: %s", h.name, line, err, out)
	}
	return out
}

func (h *sshHost) try(line string) (string, error) {
	out, err := exec.Command("ssh", "-F", h.r.config, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", h.addr, line).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// traces are the files of quorate's on the host, by their times and inodes: any
// change shows.
func (h *sshHost) traces() string {
	h.r.t.Helper()
	return h.sh("find /opt/quorate /var/lib/quorate /etc/systemd/system/quorate.service /usr/local/bin/quorate -not -path '/var/lib/quorate/*' -printf '%p %i %T@ %C@\\n' 2>/dev/null | sort; id -u quorate 2>/dev/null; true")
}

// pristine wants nothing of quorate's on the host.
func (h *sshHost) pristine() {
	h.r.t.Helper()
	if got := h.traces(); got != "" {
		h.r.t.Errorf("%s is not as it was:\n%s", h.name, got)
	}
}

// list is --hosts for these.
func (r *sshRig) list(names ...string) string {
	var all []string
	for _, n := range names {
		all = append(all, n+"="+r.hosts[n].addr)
	}
	return strings.Join(all, ",")
}

// ssh are the arguments of `quorate ssh VERB` for these hosts.
func (r *sshRig) ssh(verb string, names []string, more ...string) []string {
	return append([]string{"ssh", verb, "--hosts", r.list(names...), "--ssh-config", r.config}, more...)
}

// deploying are the arguments of a deployment that this machine can bear.
func (r *sshRig) deploying(names []string, more ...string) []string {
	return r.ssh("deploy", names, append([]string{"--cluster", "test", "--store", "file:///srv/store", "--backup-interval", "0", "--founding-wait", "10s",
		"--max-fsync", "10s", "--within", "90s"}, more...)...)
}

// q runs quorate and wants that exit code; its outputs are joined.
func (r *sshRig) q(code int, args ...string) string {
	r.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("quorate %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	r.t.Logf("quorate %s: %s\n%s", strings.Join(args[:2], " "), time.Since(began).Round(100*time.Millisecond), out)
	return string(out)
}

// try runs quorate, whose exit code may say that it has failed.
func (r *sshRig) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// says wants all of these in a text.
func (r *sshRig) says(text string, wanted ...string) {
	r.t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			r.t.Errorf("want %q in:\n%s", w, text)
		}
	}
}

// interrupted runs quorate and sends it an interrupt once its output holds a text.
func (r *sshRig) interrupted(at string, args ...string) (string, int) {
	return r.during(at, func(pid int) { must(r.t, syscall.Kill(-pid, syscall.SIGINT)) }, args...) // the whole group, as a terminal does
}

// during runs quorate, does something once its output holds a text, and gives
// its output and exit code.
func (r *sshRig) during(at string, do func(pid int), args ...string) (string, int) {
	r.t.Helper()
	cmd := exec.Command(program, args...)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(r.t, cmd.Start())
	go func() {
		_ = cmd.Wait()
		in.Close()
	}()
	var text bytes.Buffer
	sent := false
	for buf := make([]byte, 4096); ; {
		n, err := out.Read(buf)
		text.Write(buf[:n])
		if !sent && strings.Contains(text.String(), at) {
			sent = true
			do(cmd.Process.Pid)
		}
		if err != nil {
			break
		}
	}
	if !sent {
		r.t.Fatalf("it never said %q:\n%s", at, &text)
	}
	return text.String(), cmd.ProcessState.ExitCode()
}

// another is the same program with another sum.
func (r *sshRig) another() (path, sum string) {
	r.t.Helper()
	data, err := os.ReadFile(program)
	must(r.t, err)
	data = append(data, "another"...)
	path = filepath.Join(r.dir, "another")
	must(r.t, os.WriteFile(path, data, 0o755))
	return path, fmt.Sprintf("%x", sha256.Sum256(data))
}

// broken is a program that measures, and then does not run.
func (r *sshRig) broken() string {
	r.t.Helper()
	path := filepath.Join(r.dir, "broken")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.real="+program, "-o", path, "./testdata/broken")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	return path
}
