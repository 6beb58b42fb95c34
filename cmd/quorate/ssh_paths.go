package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/deploy"
	"github.com/quorate/quorate/internal/unit"
)

type keyedPath struct{ key, path string }

// unit paths are written into the service's file as they are.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+){2,}$`)

// hiddenPaths are where the service is not let.
var hiddenPaths = []string{"/tmp/", "/var/tmp/", "/home/", "/root/", "/run/user/", "/proc/", "/sys/", "/dev/"}

// hiddenBelow is the directory that hides a path from the service; empty: none.
func hiddenBelow(path string) string {
	for _, hidden := range hiddenPaths {
		if strings.HasPrefix(filepath.Clean(path)+"/", hidden) {
			return strings.TrimSuffix(hidden, "/")
		}
	}
	return ""
}

// checkUnitPath is about a path in the service's file.
func checkUnitPath(key, path string) error {
	if !plainPath.MatchString(filepath.Clean(path)) {
		return fmt.Errorf("%s: %q: want an absolute path of letters, digits, dots, dashes and underscores, not right below /", key, path)
	}
	if hidden := hiddenBelow(path); hidden != "" {
		return fmt.Errorf("%s: %s: the service cannot see %s", key, path, hidden)
	}
	return nil
}

// ownPath are the problems with where the service keeps things, and listens.
func (d *deployment) ownPath() []error {
	var problems []error
	for _, w := range d.writable() {
		err := checkUnitPath(w.key, w.path)
		if err == nil && strings.HasPrefix(filepath.Clean(w.path)+"/", deploy.Base+"/") {
			err = fmt.Errorf("%s: %s: programs and configuration go there", w.key, w.path)
		}
		problems = append(problems, err)
	}
	c := d.cmd.Config
	for _, p := range append(portsOf(c), hosts.Port{Key: "health-port", Number: c.HealthPort}) {
		if p.Number > 0 && p.Number < 1024 {
			problems = append(problems, fmt.Errorf("%s: %d: the service is not root's, and cannot listen below 1024", p.Key, p.Number))
		}
	}
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// writable are the directories that the service writes to.
func (d *deployment) writable() []keyedPath {
	c := d.cmd.Config
	out := []keyedPath{{"data-dir", c.DataDir}}
	if c.EtcdDataDir != "" {
		out = append(out, keyedPath{"etcd-data-dir", c.EtcdDataDir})
	}
	for _, s := range []keyedPath{{"store", c.Store}, {"backup-copy", c.BackupCopy}} {
		if u, err := url.Parse(s.path); err == nil && u.Scheme == "file" {
			out = append(out, keyedPath{s.key, u.Path})
		}
	}
	return out
}

// confinement lets the service write where it must.
func (d *deployment) confinement() string {
	var writable []string
	for _, w := range d.writable() {
		path := filepath.Clean(w.path)
		if w.key != "data-dir" {
			path = "-" + path // it may be missing: then the agent says so better
		}
		writable = append(writable, path)
	}
	return unit.Hardening(writable...)
}

// readable are the files that the service reads or runs, with the placeholders
// filled in.
func (d *deployment) readable(fill *strings.Replacer) []keyedPath {
	c := d.cmd.Config
	c.Peers, c.DNS = fill.Replace(c.Peers), fill.Replace(c.DNS)
	all := []keyedPath{{"etcd-password-file", c.EtcdPasswordFile}, {"cert-file", c.CertFile}, {"key-file", c.KeyFile}, {"trusted-ca-file", c.TrustedCAFile},
		{"peer-cert-file", c.PeerCertFile}, {"peer-key-file", c.PeerKeyFile}, {"peer-trusted-ca-file", c.PeerTrustedCAFile},
		{"backup-identity-file", c.BackupIdentityFile}, {"backup-sign-key-file", c.BackupSignKeyFile}}
	for _, path := range c.BackupVerifyKeyFile {
		all = append(all, keyedPath{"backup-verify-key-file", path})
	}
	if !c.BuiltIn() && !etcd.IsURL(c.Etcd) && strings.Contains(c.Etcd, "/") { // else it is looked for in $PATH
		all = append(all, keyedPath{"etcd", c.Etcd})
	}
	if u, err := url.Parse(c.Peers); err == nil && (u.Scheme == "file" || u.Scheme == "exec") {
		all = append(all, keyedPath{"peers", u.Path})
	}
	if t, err := c.Naming.Target(); c.DNS != "" && err == nil {
		all = append(all, keyedPath{"dns: key-file", t.KeyFile}, keyedPath{"dns: token-file", t.TokenFile})
	}
	for i := range all {
		all[i].path = fill.Replace(all[i].path)
	}
	return slices.DeleteFunc(all, func(p keyedPath) bool { return p.path == "" })
}

// unseen are the problems with what the service reads. A path is told only if
// it was to be uploaded: people put a secret itself where its path should be.
func (d *deployment) unseen(fill *strings.Replacer) []error {
	var problems []error
	for _, p := range d.readable(fill) {
		file, ours := strings.CutPrefix(filepath.Clean(p.path), deploy.FilesDir+"/")
		switch hidden := hiddenBelow(p.path); {
		case !filepath.IsAbs(p.path):
			problems = append(problems, fmt.Errorf("%s: want an absolute path on the machine", p.key))
		case hidden != "":
			problems = append(problems, fmt.Errorf("%s: the service cannot see %s", p.key, hidden))
		case ours && !d.uploads(file):
			problems = append(problems, fmt.Errorf("%s: {files}/%s: no --file uploads it", p.key, file))
		}
	}
	return problems
}

// uploads says that some --file has this name.
func (d *deployment) uploads(file string) bool {
	return slices.ContainsFunc(d.cmd.Files, func(item string) bool {
		name, _, _ := strings.Cut(item, "=")
		return name == file
	})
}

// placeholders are what stands in flags for each host's own.
func placeholders(h hosts.Host) *strings.Replacer {
	return strings.NewReplacer("{name}", h.Name, "{host}", h.Address, "{files}", deploy.FilesDir)
}
