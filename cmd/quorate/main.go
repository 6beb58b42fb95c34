// Quorate keeps an etcd cluster alive on any group of machines.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/replay"
)

// cli is the whole command line: one file a subcommand.
type cli struct {
	Run       runCmd       `cmd:"" help:"Keep this node's etcd: the agent."`
	Dev       devCmd       `cmd:"" help:"Run a whole cluster on this machine, to try and to break."`
	Status    statusCmd    `cmd:"" help:"Show the cluster: exit code 0 healthy, 1 degraded, 2 no quorum."`
	Explain   explainCmd   `cmd:"" help:"Say what this node would do now, and why nothing else; touches nothing."`
	Doctor    doctorCmd    `cmd:"" help:"Measure whether this machine is fit: disk, clock, ports, network, store, certificates; exit code 0 go, 1 no-go."`
	Pause     pauseCmd     `cmd:"" help:"Let housekeeping rest for a while."`
	Resume    resumeCmd    `cmd:"" help:"End a pause."`
	Recover   recoverCmd   `cmd:"" help:"Say which members are lost for good, when no quorum can come back."`
	Leave     leaveCmd     `cmd:"" help:"Remove a node from the cluster for good."`
	Roll      rollCmd      `cmd:"" help:"Restart every member's etcd, one after the other, with no failed request."`
	Upgrade   upgradeCmd   `cmd:"" help:"Take etcd to another version, up or down, one minor and one member at a time."`
	Backup    backupCmd    `cmd:"" help:"Take and list full snapshots."`
	Restore   restoreCmd   `cmd:"" help:"Make a data directory out of the store, as of any revision or moment, for an etcd that is run by hand."`
	AWS       awsCmd       `cmd:"" name:"aws" help:"Make and watch a cluster on AWS."`
	SSH       sshCmd       `cmd:"" name:"ssh" help:"A cluster on hosts that can only be reached by SSH."`
	CloudInit cloudInitCmd `cmd:"" name:"cloud-init" help:"Print user data for a machine of any cloud: fetches quorate, configures it, starts it."`
	DNS       dnsCmd       `cmd:"" name:"dns" help:"The cluster's DNS records: compare, publish, wait for them."`
	Discovery discoveryCmd `cmd:"" help:"Tokens of a discovery registry in another etcd."`
	Etcd      etcdCmd      `cmd:"" passthrough:"" help:"The built-in etcd, with etcd's own flags."`
	Elastic   elasticCmd   `cmd:"" name:"elastic-etcd" passthrough:"" help:"What elastic-etcd did, with its flags and variables: explain --register."`
	Version   versionCmd   `cmd:"" help:"Print the versions of quorate and of the built-in etcd."`
}

func main() { os.Exit(Main(os.Args, os.Stdout, os.Stderr)) }

// Main is main with its exit code as a result: 0 done, 2 bad input, else what
// the subcommand says.
func Main(args []string, out, errOut io.Writer) int {
	if len(args) > 1 && args[1] == "etcd" {
		runEtcd(args[1:]) // ends the process itself
		return 0
	}
	if len(args) == 2 && args[1] == replay.Subcommand {
		return replay.Work(os.Stdin, out)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(args) == 2 && args[1] == takeSubcommand {
		err = takeBackup(ctx, os.Stdin, streams{out, errOut})
	} else {
		err = dispatch(ctx, args[1:], out, errOut)
	}
	var code exitWith
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(errOut, "quorate:", hint(err))
	return exitCode(err)
}

func dispatch(ctx context.Context, args []string, out, errOut io.Writer) error {
	ended := false
	build := func() (*kong.Kong, error) {
		return kong.New(&cli{}, kong.Name("quorate"), kong.Description("Keeps an etcd cluster alive on any group of machines."),
			kong.UsageOnError(), kong.Writers(out, errOut), kong.Exit(func(int) { ended = true }),
			kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)),
			kong.Bind(streams{out, errOut}), config.Lenient(), kong.Vars{"features": featureNames()})
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if isElastic(args) {
		var err error
		if args, err = fromElastic(args, os.LookupEnv); err != nil {
			return usage{err}
		}
	}
	parsed, err := untilStopped(ctx, func() (*kong.Context, error) { return parse(ctx, build, args) })
	switch {
	case errors.Is(err, errStopped):
		return err
	case ended: // help was asked for
		return nil
	case err != nil:
		return usage{err}
	}
	return parsed.Run()
}

var errStopped = errors.New("stopped while the settings were read")

// untilStopped is what read gives, unless a signal comes before: a file on a mount
// that hangs, or a pipe without a writer, is read for ever.
func untilStopped[A any](ctx context.Context, read func() (A, error)) (A, error) {
	type answer struct {
		a   A
		err error
	}
	done := make(chan answer, 1)
	go func() {
		a, err := read()
		done <- answer{a, err}
	}()
	select {
	case got := <-done:
		return got.a, got.err
	case <-ctx.Done():
		var none A
		return none, errStopped
	}
}

// streams are where a subcommand writes.
type streams struct{ out, err io.Writer }
