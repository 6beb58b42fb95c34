package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// checkLimit bounds one `etcd --version`: a cold disk may need seconds to load
// the binary, and a binary that is not etcd may never end.
const checkLimit = 15 * time.Second

// Binary says how to run etcd. The built-in one is quorate's own executable
// with the prefix "etcd"; another one is a path alone.
type Binary struct {
	Path   string
	Prefix []string // arguments before etcd's flags
}

// Version is etcd's version.
type Version = cluster.Version

// ParseVersion reads a version out of what etcd prints.
func ParseVersion(s string) (Version, error) { return cluster.ParseVersion(s) }

// BuiltIn is the etcd inside this executable.
func BuiltIn() (Binary, error) {
	self, err := os.Executable()
	if err != nil {
		return Binary{}, fmt.Errorf("finding quorate's own executable: %w", err)
	}
	return Binary{Path: self, Prefix: []string{"etcd"}}, nil
}

// Check learns the binary's version and whether that version takes the
// operator's flags: etcd parses all flags before it prints its version, so one
// run tells both, and touches no data. The error names the
// offending flags, one in each of its parts.
func (b Binary) Check(ctx context.Context, passThrough []string) (Version, error) {
	given, err := parseExtra(passThrough)
	if err != nil {
		return Version{}, err
	}
	v, err := b.version(ctx, flagArgs(given))
	if err == nil || len(given) == 0 {
		return v, err
	}
	if plain, plainErr := b.version(ctx, nil); plainErr == nil {
		return plain, b.wrong(ctx, plain, given, err)
	}
	return Version{}, err
}

// wrong is every offending flag, one error each: etcd itself names only the
// first, so each is tried alone. What is wrong with them only together is first.
func (b Binary) wrong(ctx context.Context, v Version, given []Setting, first error) error {
	var problems []error
	for _, s := range given {
		if _, err := b.version(ctx, flagArgs([]Setting{s})); err != nil {
			problems = append(problems, fmt.Errorf("checking etcd's flags: etcd %s: %w", v, err))
		}
	}
	if len(problems) > 1 {
		return errors.Join(problems...)
	}
	return fmt.Errorf("checking etcd's flags: etcd %s: %w", v, first)
}

func (b Binary) version(ctx context.Context, flags []string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Path, slices.Concat(b.Prefix, flags, []string{"--version"})...)
	cmd.Env = withoutSettings(os.Environ())
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	switch err := cmd.Run(); {
	case err != nil && ctx.Err() != nil:
		return Version{}, fmt.Errorf("asking %s for its version: %w", b.Path, ctx.Err())
	case err != nil:
		return Version{}, fmt.Errorf("asking %s for its version: %w", b.Path, flagError(complaint.String(), err))
	}
	return ParseVersion(out.String())
}

// complaints are the ways in which Go's flag package names a bad flag, and
// etcd's own for an argument that is none.
var complaints = []*regexp.Regexp{
	regexp.MustCompile(`flag provided but not defined: (-\S+)`),
	regexp.MustCompile(`invalid (?:boolean )?value .* for (?:flag )?-[^\n]*`),
	regexp.MustCompile(`flag needs an argument: (-\S+)`),
	regexp.MustCompile(`bad flag syntax: [^\n]*`),
	regexp.MustCompile(`"[^\n]*" is not a valid flag`),
}

// flagError finds the line that matters in what etcd printed.
func flagError(complaint string, err error) error {
	if m := complaints[0].FindStringSubmatch(complaint); m != nil {
		return fmt.Errorf("unknown flag -%s", m[1])
	}
	for _, c := range complaints[1:] {
		if m := c.FindString(complaint); m != "" {
			return errors.New(m)
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	return fmt.Errorf("%w: %s", err, first)
}
