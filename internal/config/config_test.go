package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// cli embeds the structs as cmd does.
type cli struct {
	Run     runCmd     `cmd:""`
	Explain explainCmd `cmd:""`
	Status  statusCmd  `cmd:""`
}

type runCmd struct{ Config }

func (*runCmd) Run() error { return nil }

type explainCmd struct {
	Config
	Output string `short:"o" default:"text"`
}

type statusCmd struct{ Target }

// parse is the command line, filled.
func parse(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c cli
	app, err := kong.New(&c, kong.Name("quorate"), Lenient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Parse(args); err != nil {
		return Config{}, err
	}
	if args[0] == "explain" {
		return c.Explain.Filled(t.Context()), nil
	}
	return c.Run.Filled(t.Context()), nil
}

func must(t *testing.T, args ...string) Config {
	t.Helper()
	c, err := parse(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// good is the shortest command line without a problem, and more.
func good(t *testing.T, more ...string) []string {
	return append([]string{
		"run", "--name=a", "--peers=a=127.0.0.11,b=127.0.0.12,c=127.0.0.13",
		"--data-dir=" + filepath.Join(t.TempDir(), "q"),
	}, more...)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func file(t *testing.T, text string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "quorate.yaml"), text)
}

func lines(errs []error) string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return strings.Join(all, "\n")
}

func TestDefaults(t *testing.T) {
	c := must(t, "run", "--peers=a=127.0.0.11,b=127.0.0.12,c=[::1]", "--name=a")
	want := Config{
		Machine: Machine{
			Name: "a", Host: "127.0.0.11", ListenHost: "127.0.0.11", DataDir: "/var/lib/quorate",
			ClientPort: 2379, PeerPort: 2380, AgentPort: 2378,
		},
		Membership: Membership{
			Cluster: "quorate", Peers: "a=127.0.0.11,b=127.0.0.12,c=[::1]", Size: 3, Join: "replace",
			FoundingWait: 30 * time.Second, DeadAfter: 5 * time.Minute, HashCheck: time.Hour, LearnerWait: time.Minute, CompactKeep: time.Hour, DefragBelow: 0.5, AutoRecover: true,
		},
		Process: Process{Etcd: "built-in", EtcdDataDir: "/var/lib/quorate/etcd"},
		Backups: Backups{BackupInterval: time.Hour, BackupDelta: true, BackupKeep: 10, BackupKeepHourly: 24, BackupKeepDaily: 7, BackupKeepWeekly: 4, BackupVerify: 6 * time.Hour},
		Cloud:   Cloud{SurgeWait: 5 * time.Minute, CrashLimit: 5},
		Logs:    Logs{LogLevel: "info", LogFormat: "text"},
	}
	c.asRead, c.byFlag, c.asked = nil, nil, nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if problems := must(t, good(t)...).Validate(); len(problems) > 0 {
		t.Errorf("the shortest command line: %v", problems)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c := must(t, "run", "--host=db.example"); c.Name != host || c.ListenHost != "0.0.0.0" {
		t.Errorf("name %q, listen-host %q", c.Name, c.ListenHost)
	}
}

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	path := file(t, "size: 5\nzone: file\ncluster: file\nauto-recover: false\nbackup-interval: 0\n"+
		"etcd-flags:\n- --snapshot-count=1\n- --a=b c\nclient-port: 4001\n")
	t.Setenv("QUORATE_ZONE", "env")
	t.Setenv("QUORATE_CLUSTER", "env")
	for _, command := range []string{"run", "explain"} {
		c := must(t, command, "--config", path, "--cluster=flag")
		got := fmt.Sprintln(c.Size, c.Zone, c.Cluster, c.AutoRecover, c.BackupInterval, c.ClientPort, len(c.EtcdFlags), c.unread)
		if want := "5 env flag false 0s 4001 2 []\n"; got != want {
			t.Errorf("%s: got %s, want %s", command, got, want)
		}
	}
	t.Setenv("QUORATE_CONFIG", path)
	t.Setenv("QUORATE_AUTO_RECOVER", "true")
	t.Setenv("QUORATE_ETCD_FLAGS", " --x=1   --y=2 ")
	c := must(t, "run", "--no-auto-recover")
	if c.Size != 5 || c.AutoRecover || !slices.Equal(c.EtcdFlags, []string{"--x=1", "--y=2"}) {
		t.Errorf("size %d, auto-recover %t, etcd-flags %q", c.Size, c.AutoRecover, c.EtcdFlags)
	}
	c = must(t, "run", "--size=7", "--", "--z=3", "--debug")
	if c.Size != 7 || !slices.Equal(c.EtcdFlags, []string{"--z=3", "--debug"}) || c.Args != nil {
		t.Errorf("size %d, etcd-flags %q", c.Size, c.EtcdFlags)
	}
}

// The file of run says nothing to a client, however broken it is.
func TestTargetIgnoresTheFile(t *testing.T) {
	t.Setenv("QUORATE_CONFIG", file(t, "no such: thing\n"))
	if _, err := parse(t, "status"); err != nil {
		t.Error(err)
	}
}

func TestEveryKeyHasItsVariableAndHelp(t *testing.T) {
	known, err := keys(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, flag := range known {
		env := "QUORATE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if !slices.Equal(flag.Envs, []string{env}) {
			t.Errorf("%s: variables %q, want %s", name, flag.Envs, env)
		}
		switch flag.Target.Interface().(type) {
		case int, bool, time.Duration, Size:
			if flag.Tag.Type != "setting" {
				t.Errorf("%s: want type:\"setting\", so that a wrong value is told with all other problems", name)
			}
		}
		if !strings.HasSuffix(flag.Help, ".") && !strings.HasSuffix(flag.Help, "…") {
			t.Errorf("%s: help %q", name, flag.Help)
		}
		if flag.HasDefault && !strings.Contains(flag.Help, flag.Default) {
			t.Errorf("%s: the help does not tell the default %s", name, flag.Default)
		}
		if slices.Contains(live, name) != strings.Contains(flag.Help, "May change while running") {
			t.Errorf("%s: help and live disagree", name)
		}
	}
	for _, name := range live {
		if known[name] == nil {
			t.Errorf("live key %q is none", name)
		}
	}
}

func TestFileProblems(t *testing.T) {
	for text, want := range map[string]string{
		"sise: 3\n":                  "sise: unknown key; did you mean size?",
		"data_dir: /x\n":             "data_dir: unknown key; did you mean data-dir?",
		"zzzzzzzzzz: 1\n":            "zzzzzzzzzz: unknown key, in",
		"config: /x\n":               "config: unknown key",
		"size: 3\nsize: 5\n":         "size: given twice",
		"size: three\n":              `size: want a whole number or auto, got "three"`,
		"size: '3'\n":                "size: want a whole number",
		"size: 3.5\n":                "size: want a whole number or auto, got 3.5",
		"size: [3]\n":                "size: want a whole number",
		"size:\n":                    "size: has no value",
		"auto-recover: 1\n":          "auto-recover: want true or false",
		"dead-after: 300\n":          "dead-after: want a time with its unit",
		"dead-after: soon\n":         "dead-after: want a time with its unit",
		"zone: 010\n":                "zone: want text",
		"etcd-flags: --a=1\n":        "etcd-flags: want a list",
		"etcd-flags: [1]\n":          "etcd-flags: want a list of text",
		"- size\n":                   "config: ",
		"size: 3\n---\nsize: 3\n":    "config: ",
		"size: [\n":                  "config: ",
		"size: 3\n  zone: x\n":       "config: ",
		"sise: 3\nauto-recover: x\n": "auto-recover: want true or false",
	} {
		problems := lines(must(t, good(t, "--config="+file(t, text))...).Validate())
		if !strings.Contains("\n"+problems, "\n"+want) {
			t.Errorf("%q: got %q, want %q", text, problems, want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "size: 3\n"} {
		if problems := must(t, good(t, "--config="+file(t, text))...).Validate(); len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
	}
	if got := lines(must(t, good(t, "--config=/no/such")...).Validate()); !strings.HasPrefix(got, "config: ") {
		t.Errorf("no file: %q", got)
	}
}

// Each beside all others, of which some are elsewhere: nothing stops at the first.
func TestWrongTypesAreToldTogether(t *testing.T) {
	t.Setenv("QUORATE_BACKUP_KEEP", "many")
	t.Setenv("QUORATE_SIZE", "x")           // the command line sets it right
	t.Setenv("QUORATE_PEER_PORT", "2380.5") // the command line sets it wrong
	path := file(t, "founding-wait: 5\nclient-port: 4001\n")
	args := good(t, "--config="+path, "--size=3", "--dead-after=300", "--auto-recover=maybe", "--client-cert-auth=x", "--client-port=1e9", "--peer-port=y", "--cluster=")
	got := lines(must(t, args...).Validate())
	for _, want := range []string{
		`dead-after: want a time with its unit, as 30s, 5m or 1h, got "300"`,
		`auto-recover: want true or false, got "maybe"`,
		`client-cert-auth: want true or false, got "x"`,
		`client-port: want a whole number, got "1e9"`,
		`peer-port: want a whole number, got "y"`,
		`backup-keep: want a whole number, got "many", in QUORATE_BACKUP_KEEP`,
		`founding-wait: want a time with its unit, as 30s, 5m or 1h, got 5, in ` + path,
		`cluster: `,
	} {
		if strings.Count("\n"+got, "\n"+want) != 1 {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 8 {
		t.Errorf("%d lines, want 8:\n%s", n, got)
	}
	if _, err := parse(t, "run", "--size"); err == nil || !strings.Contains(err.Error(), "--size") {
		t.Errorf("a missing value: %v", err)
	}
}

// A variable that the command line has set right hinders no reload either.
func TestReloadBesideAWrongVariable(t *testing.T) {
	t.Setenv("QUORATE_BACKUP_KEEP", "many")
	path := file(t, "size: 3\n")
	c := must(t, good(t, "--config="+path, "--backup-keep=4")...)
	if err := os.WriteFile(path, []byte("size: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next, changed, err := c.Reload(); err != nil || !slices.Equal(changed, []string{"size"}) || next.Size != 5 || next.BackupKeep != 4 {
		t.Errorf("%v, %v, size %v", changed, err, next.Size)
	}
}

func TestSizeAuto(t *testing.T) {
	for _, c := range []struct{ args, file, env, want string }{
		{"--size=auto", "", "3", "auto"},
		{"--size=5", "size: auto\n", "auto", "5"},
		{"", "size: 7\n", "auto", "auto"},
		{"", "size: auto\n", "", "auto"},
		{"", "size: 5\n", "", "5"},
	} {
		if os.Unsetenv("QUORATE_SIZE"); c.env != "" {
			t.Setenv("QUORATE_SIZE", c.env)
		}
		conf := must(t, good(t, append(strings.Fields(c.args), "--config="+file(t, c.file))...)...)
		if problems := conf.Validate(); conf.Size.String() != c.want || len(problems) > 0 || (conf.Size == Auto) != (conf.Size.Voters() == 0) {
			t.Errorf("%+v: %v, %v", c, conf.Size, problems)
		}
	}
	if got := lines(must(t, good(t, "--size=Auto")...).Validate()); got != `size: want a whole number or auto, got "Auto"` {
		t.Error(got)
	}
}

func TestReload(t *testing.T) {
	path := file(t, "size: 3\nzone: x\nlog-level: info\n")
	c := must(t, good(t, "--config="+path, "--dead-after=1m", "--", "--a=1")...)

	next, changed, err := c.Reload()
	if len(changed) > 0 || err != nil || !reflect.DeepEqual(next, c) {
		t.Fatalf("unchanged: %q, %v", changed, err)
	}
	write(t, path, "size: 5\nlog-level: debug\ndead-after: 9m\nbackup-keep: 3\nzone: x\n")
	next, changed, err = c.Reload()
	if got := fmt.Sprintln(changed, err, next.Size, next.LogLevel, next.DeadAfter, next.BackupKeep, c.Size); got !=
		"[backup-keep log-level size] <nil> 5 debug 1m0s 3 3\n" {
		t.Fatal(got)
	}
	if next.Name != "a" || next.Host != "127.0.0.11" || len(next.EtcdFlags) != 1 {
		t.Errorf("lost what the command line said: %+v", next)
	}
	write(t, path, "zone: y\ncluster: other\nsize: 7\n")
	for range 2 { // it goes on saying so
		next, changed, err = next.Reload()
		if !errors.Is(err, ErrRestart) || next.Zone != "x" || next.Cluster != "quorate" || next.Size != 7 {
			t.Fatal(changed, err, next.Zone)
		}
		if got := err.Error(); !strings.HasPrefix(got, "cluster: changed") || !strings.Contains(got, "\nzone: changed") {
			t.Error(got)
		}
	}
	for _, text := range []string{"size: -1\n", "size: x\n", "nope: 1\n", "size: [", "join: maybe\n"} {
		write(t, path, text)
		same, changed, err := next.Reload()
		if err == nil || errors.Is(err, ErrRestart) || changed != nil || !reflect.DeepEqual(same, next) {
			t.Errorf("%q: %q %v", text, changed, err)
		}
	}
	write(t, path, "") // what leaves the file goes back to its default
	if back, _, err := next.Reload(); back.Size != 3 || !errors.Is(err, ErrRestart) {
		t.Error(back.Size, err)
	}
	if _, _, err := must(t, good(t)...).Reload(); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestPasswordIsNeverShown(t *testing.T) {
	const word = "hunter2"
	c := must(t, good(t, "--etcd-user=root", "--etcd-password-file="+file(t, word+"\n"))...)
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	secret, err := c.Password()
	if err != nil || secret.Reveal() != word || secret.Empty() {
		t.Fatal(err)
	}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", secret, "c", c, "in", struct{ S Secret }{secret})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", secret, "c", c, "in", struct{ S Secret }{secret})
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d %+v", secret, secret, secret, secret, secret, secret, secret, []any{secret, &secret, c})
	j, err := json.Marshal(map[string]any{"s": secret})
	if err != nil {
		t.Fatal(err)
	}
	if shown := out.String() + string(j); strings.Contains(shown, word) || strings.Contains(shown, "68756e74") {
		t.Error(shown)
	}
	for _, text := range []string{"", "\n", "a\nb\n"} {
		bad := must(t, good(t, "--etcd-user=root", "--etcd-password-file="+file(t, text))...)
		if got := lines(bad.Validate()); !strings.HasPrefix(got, "etcd-password-file: ") {
			t.Errorf("%q: %q", text, got)
		}
	}
}
