package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// elasticCmd is only for the help: dispatch makes explain's command line of it.
type elasticCmd struct {
	Flags []string `arg:"" optional:"" help:"elastic-etcd's own flags."`
}

// elastic-etcd's flags with a value, and what each means if it is not given.
var elasticFlags = map[string]string{
	"o": "env", "join-strategy": "replace", "client-port": "2379", "cluster-size": "-1", "discovery": "", "data-dir": "", "name": "",
	"initial-advertise-peer-urls": "http://localhost:2380",
}

// glog's flags, which elastic-etcd had too: they say how to log, and are let be.
var (
	glogSwitches = []string{"logtostderr", "alsologtostderr"}
	glogValues   = []string{"v", "vmodule", "log_dir", "log_backtrace_at", "stderrthreshold"}
)

// isElastic says that the command line is elastic-etcd's: by the command's name,
// or as explain's with a flag that only elastic-etcd has.
func isElastic(args []string) bool {
	if len(args) == 0 || args[0] != "explain" {
		return len(args) > 0 && args[0] == "elastic-etcd"
	}
	return slices.ContainsFunc(args[1:], func(a string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		return strings.HasPrefix(a, "-") && slices.Contains([]string{"discovery", "join-strategy", "cluster-size", "initial-advertise-peer-urls"}, name)
	})
}

// fromElastic makes explain's command line of elastic-etcd's: one dash or two, a
// flag beats its ELASTIC_ETCD_ variable. It registers, adds a voter and waits
// for the other founders, as elastic-etcd and its etcd did. Other flags are explain's.
func fromElastic(args []string, environ func(string) (string, bool)) ([]string, error) {
	given, rest, err := splitElastic(args[1:])
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(rest, func(a string) bool { return a == "-h" || a == "--help" || a == "-help" }) {
		return []string{"explain", "--help"}, nil
	}
	value := func(flag string) string {
		if v, ok := given[flag]; ok {
			return v
		}
		if v, ok := environ("ELASTIC_ETCD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))); ok && v != "" && flag != "o" {
			return v
		}
		return elasticFlags[flag]
	}
	host, port, problem := elasticURLs(value("initial-advertise-peer-urls"))
	size, wrong := elasticSize(value("cluster-size"))
	if strings.HasPrefix(value("initial-advertise-peer-urls"), "https:") && !slices.ContainsFunc(rest, func(a string) bool { return strings.HasPrefix(a, "--peer-cert-file") }) {
		problem = errors.New("initial-advertise-peer-urls: https: want --peer-cert-file, --peer-key-file and --peer-trusted-ca-file too")
	}
	var missing []error
	for _, flag := range []string{"name", "discovery"} {
		if value(flag) == "" {
			missing = append(missing, fmt.Errorf("%s: not given", flag))
		}
	}
	if err := errors.Join(append(missing, problem, wrong)...); err != nil {
		return nil, err
	}
	data := value("data-dir")
	if data == "" {
		data = value("name") + ".etcd"
	}
	out := []string{"explain", "--elastic", "--register", "--as-voter", "-o", value("o"), "--name", value("name"), "--peers", value("discovery"),
		"--host", host, "--peer-port", port, "--client-port", value("client-port"), "--size", size, "--join", value("join-strategy"),
		"--etcd-data-dir", data, "--data-dir", strings.TrimRight(data, "/") + ".quorate"}
	if !slices.ContainsFunc(rest, func(a string) bool { return strings.HasPrefix(a, "--wait") }) {
		out = append(out, "--wait", "5m")
	}
	return append(out, rest...), nil
}

// splitElastic takes elastic-etcd's flags out of a command line.
func splitElastic(args []string) (given map[string]string, rest []string, err error) {
	given = map[string]string{}
	for i := 0; i < len(args); i++ {
		name, value, assigned := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-"), "=")
		_, ours := elasticFlags[name]
		switch logs := slices.Contains(glogValues, name); {
		case args[i] == "--":
			return given, append(rest, args[i:]...), nil
		case !strings.HasPrefix(args[i], "-"), !ours && !logs && !slices.Contains(glogSwitches, name):
			rest = append(rest, args[i])
		case (ours || logs) && !assigned && i+1 == len(args):
			return nil, nil, fmt.Errorf("%s: want a value", name)
		case ours || logs:
			if !assigned {
				i++
				value = args[i]
			}
			if ours {
				given[name] = value
			}
		}
	}
	return given, rest, nil
}

// elasticURLs takes the first of the URLs, by which elastic-etcd named a member
// too; all must be sound, and of one scheme. The others are left out: a founder is
// a name and one URL.
func elasticURLs(raw string) (host, port string, err error) {
	all := strings.Split(raw, ",")
	for i, u := range slices.Backward(all) {
		if host, port, err = elasticURL(u); err != nil {
			return "", "", err
		}
		if i > 0 && !strings.HasPrefix(u, strings.SplitAfter(all[0], ":")[0]) {
			return "", "", errors.New("initial-advertise-peer-urls: http and https: want one scheme")
		}
	}
	return host, port, nil
}

func elasticURL(raw string) (host, port string, err error) {
	u, err := url.Parse(raw)
	switch {
	case strings.Contains(raw, "@"): // what is before it is not told
		return "", "", errors.New("initial-advertise-peer-urls: want URLs as http://10.0.0.1:2380, without a user or password")
	case err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", "", fmt.Errorf("initial-advertise-peer-urls: %q: want URLs as http://10.0.0.1:2380", raw)
	}
	return u.Hostname(), u.Port(), nil
}

func elasticSize(text string) (string, error) {
	switch n, err := strconv.Atoi(text); {
	case err != nil:
		return "", fmt.Errorf("cluster-size: %q: want a number", text)
	case n < 0:
		return "auto", nil
	default:
		return text, nil
	}
}
