package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/stack"
	"github.com/quorate/quorate/internal/unit"
)

// cloudInitCmd prints user data, the same for every machine of a cluster.
type cloudInitCmd struct {
	URL    string `group:"The program" name:"url" placeholder:"URL" help:"Where a machine fetches quorate from: https://, or s3:// where it has the AWS command. Default: it is in the image, at --program."`
	SHA256 string `group:"The program" name:"sha256" placeholder:"HEX" help:"The program's SHA-256; required with --url. Another program is not started."`
	// Program is not a key of the agent's: nothing says its default but this.
	Program string `group:"The program" default:"/usr/local/bin/quorate" placeholder:"PATH" help:"Where the program is, or is put (default ${default})."`
	config.Config
}

//go:embed cloudinit.sh
var cloudInitScript string

// Where things are on a machine that cloud-init has set up.
const (
	cloudConfigPath = "/etc/quorate/config.yaml"
	cloudLib        = "/usr/local/lib/quorate/"
)

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (c *cloudInitCmd) problems(context.Context) []error {
	var all []error
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "" && c.SHA256 != "":
		all = append(all, errors.New("url: not given, and sha256 is"))
	case c.URL == "":
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "s3" || u.User != nil:
		all = append(all, errors.New("url: want https://… or s3://… without credentials"))
	case !sha256Hex.MatchString(c.SHA256):
		all = append(all, fmt.Errorf("sha256: %q: want 64 hex digits, as sha256sum prints them", c.SHA256))
	}
	if err := checkUnitPath("program", c.Program); err != nil {
		all = append(all, err)
	}
	d := deployment{cmd: &sshDeployCmd{Config: c.Config}}
	all = append(all, d.ownPath()...)
	all = append(all, d.unseen(strings.NewReplacer())...) // nothing is filled in, or uploaded
	return append(all, c.ofAll()...)
}

// ofAll are the problems of all machines alike: each finds its own name and
// host where it runs, and none may be told to be another.
func (c *cloudInitCmd) ofAll() (all []error) {
	for _, own := range []struct{ key, given string }{{"name", c.Name}, {"host", c.Host}} {
		if own.given != "" {
			all = append(all, fmt.Errorf("%s: %q: is each machine's own, and the user data is for all: each finds its own, or has it in /etc/quorate/environment", own.key, own.given))
		}
	}
	return append(all, slices.DeleteFunc(c.ValidateElsewhere(), func(err error) bool {
		key, _, _ := strings.Cut(err.Error(), ":")
		return key == "name" || key == "host"
	})...)
}

func (c *cloudInitCmd) Run(ctx context.Context, out io.Writer) error {
	if err := errors.Join(c.problems(ctx)...); err != nil {
		return usage{err}
	}
	text, err := c.userData()
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

func (c *cloudInitCmd) userData() (string, error) {
	cfg := c.Config
	cfg.File = ""
	settings, err := cfg.YAML()
	if err != nil {
		return "", err
	}
	d := deployment{cmd: &sshDeployCmd{Config: cfg}}
	program := filepath.Clean(c.Program)
	conf := fmt.Sprintf("PROGRAM='%s'\nURL='%s'\nSHA256='%s'\nDATA_DIR='%s'\n", program, shellSafe(c.URL), c.SHA256, filepath.Clean(c.DataDir))
	service := unit.Service{DataDir: filepath.Clean(c.DataDir), Environment: []string{"EnvironmentFile=-/etc/quorate/environment"},
		Command: program + " run --config=" + cloudConfigPath, Confinement: d.confinement()}
	return unit.CloudConfig{
		WriteFiles: []unit.File{
			{Path: "/etc/quorate/setup.conf", Permissions: "0644", Content: conf},
			{Path: cloudConfigPath, Permissions: "0644", Content: string(settings)},
			{Path: cloudLib + "setup", Permissions: "0755", Content: cloudInitScript},
			{Path: cloudLib + "fetch", Permissions: "0755", Content: stack.FetchScript()},
			{Path: "/etc/systemd/system/quorate.service", Permissions: "0644", Content: service.Text()},
		},
		RunCmd: [][]string{{cloudLib + "setup"}},
	}.UserData()
}

// shellSafe is a URL between single quotes.
func shellSafe(u string) string {
	if parsed, err := url.Parse(u); err == nil {
		u = parsed.String()
	}
	return strings.ReplaceAll(u, "'", "%27")
}
