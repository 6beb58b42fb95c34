package etcd

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
)

// owned are etcd's flags that quorate alone sets, and what to use instead.
// Every flag that begins with "discovery" is owned too.
var owned = map[string]string{
	"name":                        "quorate's own name setting",
	"data-dir":                    "quorate's own directory setting",
	"wal-dir":                     "one disk: quorate judges a member by the log inside its data directory",
	"listen-client-urls":          "quorate's host and port settings",
	"advertise-client-urls":       "quorate's host and port settings",
	"listen-peer-urls":            "quorate's host and port settings",
	"initial-advertise-peer-urls": "quorate's host and port settings",
	"initial-cluster":             "a peers source: the charter lists the founders",
	"initial-cluster-state":       "nothing: quorate decides it at each start",
	"initial-cluster-token":       "nothing: each charter has a fresh token",
	"force-new-cluster":           "quorate recover",
	"cert-file":                   "quorate's TLS settings",
	"key-file":                    "quorate's TLS settings",
	"trusted-ca-file":             "quorate's TLS settings",
	"client-cert-auth":            "quorate's TLS settings",
	"auto-tls":                    "quorate's TLS settings",
	"peer-cert-file":              "quorate's TLS settings",
	"peer-key-file":               "quorate's TLS settings",
	"peer-trusted-ca-file":        "quorate's TLS settings",
	"peer-client-cert-auth":       "quorate's TLS settings",
	"peer-auto-tls":               "quorate's TLS settings",
	"config-file":                 "flags: with a configuration file etcd ignores every other setting",
	"proxy":                       "etcd grpc-proxy",
	"strict-reconfig-check":       "nothing: etcd's own check is the last guard of the quorum",
	"unsafe-no-fsync":             "nothing: it loses acknowledged writes",
	"version":                     "quorate version",
	"help":                        "etcd --help",
	"h":                           "etcd --help",
}

// instead says what to use in place of an owned flag; empty when it is free.
func instead(flag string) string {
	if strings.HasPrefix(flag, "discovery") {
		return "a peers source"
	}
	return owned[flag]
}

// CheckExtra refuses the operator's flags that quorate owns and what is no
// flag at all, every problem at once. Whether etcd knows the rest is
// Binary.Check's question.
func CheckExtra(extra []string) error {
	settings, err := parseExtra(extra)
	problems := []error{err}
	for _, s := range settings {
		if use := instead(s.Flag); use != "" {
			problems = append(problems, fmt.Errorf("--%s: set by quorate; use %s", s.Flag, use))
		}
	}
	return errors.Join(problems...)
}

// Free are the operator's flags that CheckExtra does not refuse: whether etcd
// knows them is still a question.
func Free(extra []string) []string {
	settings, _ := parseExtra(extra)
	return flagArgs(slices.DeleteFunc(settings, func(s Setting) bool { return instead(s.Flag) != "" }))
}

// Quota is how large etcd lets its database grow, in bytes, when it is started
// with the operator's flags and environment; 0: without a limit.
func Quota(extra, environ []string) int64 {
	const usual, name = 2 << 30, "quota-backend-bytes"
	quota := func(text string) int64 {
		switch n, err := strconv.ParseInt(text, 10, 64); {
		case err != nil || n == 0: // etcd itself does not start on an error
			return usual
		default:
			return max(n, 0)
		}
	}
	settings, _ := parseExtra(extra)
	for _, s := range slices.Backward(settings) {
		if s.Flag == name {
			return quota(s.Value)
		}
	}
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, "ETCD_QUOTA_BACKEND_BYTES="); ok && value != "" {
			return quota(value)
		}
	}
	return usual
}

// newestFlags are the newest etcd's. They are made once: that writes variables of
// etcd's own.
var newestFlags = sync.OnceValue(func() *flag.FlagSet {
	all := flag.NewFlagSet("", flag.ContinueOnError)
	embed.NewConfig().AddFlags(all)
	return all
})

// wantsValue says that the newest etcd knows the flag as one that cannot stand
// alone. Of others, the etcd that is to run says what is wrong.
func wantsValue(name string) bool {
	f := newestFlags().Lookup(name)
	if f == nil || instead(name) != "" {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

// parseExtra reads --flag=value, --flag value and --flag (true), with one dash
// or two; what it cannot read it leaves out and reports.
func parseExtra(extra []string) ([]Setting, error) {
	var settings []Setting
	var problems []error
	for i := 0; i < len(extra); i++ {
		name, value, assigned := strings.Cut(extra[i], "=")
		flag := strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-")
		if flag == name || flag == "" || strings.HasPrefix(flag, "-") {
			problems = append(problems, fmt.Errorf("%q: not a flag of etcd's; write --flag=value", extra[i]))
			continue
		}
		switch {
		case assigned:
		case i+1 < len(extra) && !strings.HasPrefix(extra[i+1], "-"):
			i++
			value = extra[i]
		case wantsValue(flag):
			problems = append(problems, fmt.Errorf("--%s: want a value", flag))
			continue
		default:
			value = "true"
		}
		settings = append(settings, Setting{flag, value})
	}
	return settings, errors.Join(problems...)
}

// Env is the environment for an etcd started with args: the operator's, less
// every setting that is also a flag, because etcd refuses to start on one
// given twice, less those that quorate owns, and less what speaks to the
// service manager in the agent's name.
func Env(environ []string, args []string) []string {
	flags := argNames(args)
	var kept []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if !flags[name] && ownedEnv(name) == "" && !agentsOwn(name) {
			kept = append(kept, e)
		}
	}
	return kept
}

// OwnedEnv names the operator's ETCD_* settings that Env withholds from etcd
// because quorate makes them, each with what to use instead, for a warning.
func OwnedEnv(environ []string) []string {
	var warnings []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if use := ownedEnv(name); use != "" {
			warnings = append(warnings, fmt.Sprintf("%s: set by quorate; use %s", name, use))
		}
	}
	return warnings
}

func ownedEnv(name string) string {
	flag, found := strings.CutPrefix(name, "ETCD_")
	if !found {
		return ""
	}
	return instead(strings.ToLower(strings.ReplaceAll(flag, "_", "-")))
}

// agentsOwn are variables that concern the agent alone: an etcd that tells
// systemd READY=1 would speak for it, and quorate's own may hold secrets.
func agentsOwn(name string) bool {
	switch name {
	case "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
		return true
	}
	return strings.HasPrefix(name, "QUORATE_")
}

// argNames are the flags of a command line, by their environment names.
func argNames(args []string) map[string]bool {
	names := map[string]bool{}
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
			names[envName(name)] = true
		}
	}
	return names
}

// withoutSettings is the environment less all of etcd's settings. Only the
// consent to an unsupported processor stays: without it etcd says nothing.
func withoutSettings(environ []string) []string {
	var kept []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		setting := strings.HasPrefix(name, "ETCD_") && name != "ETCD_UNSUPPORTED_ARCH"
		if !setting && !agentsOwn(name) {
			kept = append(kept, e)
		}
	}
	return kept
}
