package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSSHWays: the ways to a host: through a bastion that alone knows its name,
// as a user who may sudo, by an alias; and a host whose key has changed.
func TestSSHWays(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a := r.boot("a", 11, nil)
	gate := r.boot("gate", 20, map[string]string{"etc/hosts": a.addr + " inner\n"})
	way := []string{"--ssh-config", r.config, "--accept-new", "--jump", "root@" + gate.addr + ":22", "--user", "ops"}
	deploying := append([]string{"ssh", "deploy", "--hosts", "a=" + a.addr + "@inner", "--size", "1", "--store", "file:///srv/store", "--cluster", "test",
		"--max-fsync", "10s", "--founding-wait", "1s", "--backup-interval", "0"}, way...)

	a.sh("useradd --create-home --shell /bin/sh ops && usermod --password '*' ops")
	r.says(r.q(1, deploying...), "no-go: a: we are not root there: log in as root, or let sudo work without a password")
	a.sh("echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops && chmod 0440 /etc/sudoers.d/ops")
	asking := append([]string{"ssh", "status", "--hosts", "a=" + a.addr + "@inner"}, way...)
	r.says(r.q(2, asking...), "a: quorate is not installed there")
	r.says(r.q(0, deploying...), "voters 1/1 healthy")

	// Another setting restarts even the only member, and is rolled out.
	r.says(r.q(0, append(deploying, "--log-level", "debug")...), "a: restart (another config)", "voters 1/1 healthy")
	if got := a.sh("cat /opt/quorate/current/config.yaml"); !strings.Contains(got, "log-level: debug") {
		t.Errorf("its configuration is\n%s", got)
	}

	// By an alias of ssh_config, whose address is the host's.
	config, err := os.ReadFile(r.config)
	must(t, err)
	must(t, os.WriteFile(r.config, append([]byte("Host web1\n  HostName "+a.addr+"\n"), config...), 0o600))
	status := []string{"ssh", "status", "--hosts", "a=web1", "--ssh-config", r.config, "--user", "ops"}
	r.says(r.q(0, append(status, "--accept-new")...), "voters 1/1 healthy")

	// A new key is another machine, until a person says otherwise.
	r.keygen(filepath.Join(r.dir, "other"))
	other, err := os.ReadFile(filepath.Join(r.dir, "other.pub"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(r.dir, "known"), append([]byte(a.addr+" "), other...), 0o600))
	for _, more := range [][]string{nil, {"--accept-new"}} {
		r.says(r.q(2, append(status, more...)...), "a: connecting to web1: the host's key is not the one in known_hosts: it is another machine, or somebody in between")
	}
}

// TestSSHSecrets: certificates, a DNS key and credentials reach the hosts by
// standard input, for quorate's eyes alone; the cluster speaks TLS and is found
// in DNS.
func TestSSHSecrets(t *testing.T) {
	r := newSSHRig(t)
	a, b, c := r.trio()
	ca := newAuthority(t)
	for i, h := range []*sshHost{a, b, c} {
		ca.issue(h.name, int64(i+2), h.addr, "127.0.0.1")
	}
	s, url := bind(t, "")
	key := url[strings.Index(url, "key-file=")+len("key-file="):]
	url = strings.Replace(url, key, "{files}/tsig.key", 1)
	args := []string{"--accept-new", "--dns", url, "--dns-resolver", s.Addr, "--file", "tsig.key=" + key, "--env", "TOP_SECRET",
		"--file", "ca.crt=" + ca.file("ca"), "--file", "node.crt=" + filepath.Join(ca.dir, "{name}.pem"), "--file", "node.key=" + filepath.Join(ca.dir, "{name}-key.pem")}
	for _, kind := range []string{"--", "--peer-"} {
		args = append(args, kind+"cert-file={files}/node.crt", kind+"key-file={files}/node.key", kind+"trusted-ca-file={files}/ca.crt", kind+"client-cert-auth")
	}
	t.Setenv("TOP_SECRET", "hunter2$`\"\\ 'x'")

	out := r.q(0, r.deploying(abc, args...)...)
	r.says(out, "voters 3/3 healthy", "dns: ", "every server shows every record")
	if strings.Contains(out, "hunter2") {
		t.Error("the secret is printed")
	}
	if got := recordsOf(t, s); len(got) != 12 {
		t.Errorf("the zone has %q", got)
	}
	for _, h := range []*sshHost{a, b, c} {
		if got := h.sh("stat -c '%U %a' /opt/quorate/current/files/* /opt/quorate/current/environment | sort | uniq -c | tr -s ' '"); got != "4 quorate 600\n 1 root 600" {
			t.Errorf("%s: secrets are for %q", h.name, got)
		}
		if got := h.sh(`tr '\0' '\n' </proc/$(pgrep -f -o '^/opt/quorate/current/quorate run')/environ | grep TOP_SECRET`); got != "TOP_SECRET=hunter2$`\"\\ 'x'" {
			t.Errorf("%s: the agent was told %s", h.name, got)
		}
	}

	// A renewed certificate is taken over without a restart.
	before := a.etcds()
	ca.issue("a", 77, a.addr, "127.0.0.1")
	r.says(r.q(0, r.deploying(abc, args...)...), "a: switch (another files)")
	r.eventually(20*time.Second, "a shows its new certificate", func() error {
		serial, err := ca.serial("b", a.addr+":2379")
		if err == nil && serial != 77 {
			err = os.ErrNotExist
		}
		return err
	})
	if after := a.etcds(); after != before {
		t.Errorf("a's etcd was %s, is %s", before, after)
	}
	r.says(r.q(0, r.ssh("status", abc)...), "voters 3/3 healthy")
}
