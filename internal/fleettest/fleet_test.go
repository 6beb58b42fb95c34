package fleettest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

// fleet is a whole cloud: for each of moto's instances a machine.
type fleet struct {
	t      testing.TB // of the scenario that runs; what goes on beside it has the whole test's
	whole  testing.TB
	dir    string
	moto   string // endpoint
	cidr   string // of its first region
	proxy  *awsproxy.Proxy
	clouds map[string]*cloud // by region
	stacks map[string]made   // likewise
	quit   context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	machines  map[string]*machine // that run, by instance id
	everyone  []*machine          // those that are gone too
	condemned map[string]time.Time
	answered  time.Time // when the cloud last told reconcile everything
	*witness
}

// newFleet starts moto and the proxy: a cloud without machines.
func newFleet(t testing.TB, cidr string) *fleet {
	t.Helper()
	t.Setenv("AWS_PROFILE", "")
	os.Unsetenv("AWS_PROFILE") // an earlier fleet's moto has set an empty one, which this one's does not understand
	f := &fleet{t: t, whole: t, dir: t.TempDir(), moto: moto.Start(t), cidr: cidr, clouds: map[string]*cloud{}, stacks: map[string]made{},
		machines: map[string]*machine{}, condemned: map[string]time.Time{}, answered: time.Now(), witness: newWitness(t)}
	f.proxy = awsproxy.New(t, f.moto)
	f.proxy.OnTerminated(f.onTerminated)
	ctx, quit := context.WithCancel(context.Background())
	f.quit = quit
	f.work.Go(func() { f.every(ctx, 250*time.Millisecond, f.reconcile) })
	f.work.Go(func() { f.every(ctx, 150*time.Millisecond, f.watch) })
	t.Cleanup(f.end)
	return f
}

// scenario runs one on the fleet, and leaves it with n voters. A client writes
// all the time, and every write that it was promised must be there at the end.
func (f *fleet) scenario(t *testing.T, name string, n int, run func()) {
	t.Run(name, func(t *testing.T) {
		f.t = t
		if f.whole.Failed() {
			t.Fatal("an earlier scene has failed: the fleet is not what this one begins with")
		}
		f.voters(time.Minute, len(f.running()))
		f.write()
		run()
		f.voters(time.Minute, n)
		f.written()
	})
}

// region is the operator's view of a region.
func (f *fleet) region(name string) *cloud {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clouds[name] == nil {
		f.clouds[name] = newCloud(f.whole, f.moto, name)
	}
	return f.clouds[name]
}

// deploy makes a stack; then its instances run.
func (f *fleet) deploy(region string, made made) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proxy.Notify(made.group, made.queue)
	f.stacks[region] = made
}

// every repeats work with a pause, until ctx ends.
func (f *fleet) every(ctx context.Context, pause time.Duration, work func(context.Context)) {
	for ctx.Err() == nil {
		work(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// reconcile makes machines of the instances that run, and ends those of the
// instances that do not any more. It also does what Auto Scaling does to an
// instance that was set unhealthy, and not at once: moto leaves it.
func (f *fleet) reconcile(ctx context.Context) {
	f.mu.Lock()
	var clouds []*cloud
	for region := range f.stacks {
		clouds = append(clouds, f.clouds[region])
	}
	f.mu.Unlock()
	for _, c := range clouds {
		found, err := c.instances(ctx)
		if err != nil {
			f.complain(ctx, err)
			return
		}
		f.settle(c, found)
		unhealthy, err := c.unhealthy(ctx)
		if err != nil {
			f.complain(ctx, err)
			return
		}
		for _, id := range unhealthy {
			switch since, known := f.condemned[id]; {
			case !known:
				f.condemned[id] = time.Now()
			case !since.IsZero() && time.Since(since) > replaceAfter:
				f.condemned[id] = time.Time{}
				f.proxy.Terminate(c.region, id, false)
			}
		}
	}
	f.answered = time.Now()
}

// replaceAfter is how long Auto Scaling takes to act on an instance's health: time
// enough to condemn it again and again.
const replaceAfter = 4 * time.Second

// complain fails the test when the cloud has not answered for long: a busy machine
// makes it slow.
func (f *fleet) complain(ctx context.Context, err error) {
	if ctx.Err() == nil && time.Since(f.answered) > 2*time.Minute {
		f.whole.Error(err)
	}
}

func (f *fleet) settle(c *cloud, found map[string]types.Instance) {
	var ended []*machine
	f.mu.Lock()
	for id, m := range f.machines {
		if _, runs := found[id]; !runs && m.region == c.region {
			ended = append(ended, m)
			delete(f.machines, id)
		}
	}
	for id, i := range found {
		if f.machines[id] == nil {
			m := f.machine(c.region, i)
			f.machines[id] = m
			f.everyone = append(f.everyone, m)
			m.boot()
		}
	}
	f.mu.Unlock()
	var work sync.WaitGroup
	for _, m := range ended {
		work.Go(m.terminate)
	}
	work.Wait()
}

// machine is an instance made real. What it knows of itself it asks its
// metadata service, its credentials too.
func (f *fleet) machine(region string, i types.Instance) *machine {
	id, addr := *i.InstanceId, aws.ToString(i.PrivateIpAddress)
	m := &machine{t: f.whole, id: id, region: region, addr: addr, zone: aws.ToString(i.Placement.AvailabilityZone),
		dir: filepath.Join(f.dir, id), log: filepath.Join(f.dir, id+".log")}
	m.imds = awstest.Serve(f.whole, awstest.Instance{ID: id, Type: string(i.InstanceType), Region: region, Zone: m.zone, AccountID: "123456789012",
		ImageID: aws.ToString(i.ImageId), PrivateIPv4: addr, Launched: aws.ToTime(i.LaunchTime), Role: "fleet",
		AccessKeyID: "machine", SecretAccessKey: "secret", Session: "session"})
	m.args = m.own(f.stacks[region].args)
	m.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_ENDPOINT_URL=" + f.proxy.URL, "AWS_REGION=" + region}, m.imds.Environ()...)
	return m
}

// own are the stack's flags with this machine's disk and address: on EC2 every
// machine has the same.
func (m *machine) own(args []string) []string {
	return with(args, "data-dir", m.dir, "listen-host", m.addr)
}

// running are the machines now, oldest name first.
func (f *fleet) running() []*machine {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.machines), func(a, b *machine) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
}

func (f *fleet) ids() (ids []string) {
	for _, m := range f.running() {
		ids = append(ids, m.id)
	}
	return ids
}

// voters waits until n machines run and exactly these vote, all healthy, in
// the eyes of all their agents.
func (f *fleet) voters(limit time.Duration, n int) time.Duration {
	f.t.Helper()
	return eventually(f.t, limit, fmt.Sprintf("%d voters", n), func() error {
		all := f.running()
		if len(all) != n {
			return fmt.Errorf("%d machines", len(all))
		}
		for _, m := range all {
			if err := m.sees(n); err != nil {
				return err
			}
		}
		return nil
	})
}

// sees says whether the machine's agent is ready, and sees n voters, all
// healthy, and no learner.
func (m *machine) sees(n int) error {
	if err := m.isReady(); err != nil {
		return err
	}
	s, err := m.status()
	switch {
	case err != nil:
		return err
	case s.Voters != n || s.Healthy != n:
		return fmt.Errorf("%s sees %d voters, %d healthy", m.id, s.Voters, s.Healthy)
	}
	for _, node := range s.Nodes {
		if node.Role == "learner" {
			return fmt.Errorf("learner %s is left", node.Name)
		}
	}
	return nil
}

func (m *machine) isReady() error {
	r, err := m.report()
	if err == nil && !r.Ready {
		err = fmt.Errorf("%s is not ready: %s %s", m.id, r.Reason, r.LastError)
	}
	return err
}

// leader is the machine whose etcd leads.
func (f *fleet) leader() *machine {
	f.t.Helper()
	var found *machine
	eventually(f.t, 20*time.Second, "a leader", func() error {
		for _, m := range f.running() {
			if r, err := m.report(); err == nil && r.Keeper && r.Etcd.Healthy {
				found = m
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	return found
}

// follower is a machine that votes and does not lead.
func (f *fleet) follower() *machine {
	f.t.Helper()
	lead := f.leader()
	for _, m := range f.running() {
		if r, err := m.report(); err == nil && m != lead && r.Ready {
			return m
		}
	}
	f.t.Fatal("no follower")
	return nil
}

// quorate runs a command of the real binary against the fleet.
func (f *fleet) quorate(args ...string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	args = append(args, "--agent", f.leader().addr+":2378")
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		f.t.Fatalf("quorate %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// end stops everything; after a failure it shows what the agents said.
func (f *fleet) end() {
	f.quit()
	f.work.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole.Failed() {
		for _, m := range f.everyone {
			f.whole.Log(m.lastWords())
		}
	}
	var work sync.WaitGroup
	for _, m := range f.machines {
		work.Go(m.terminate)
	}
	work.Wait()
}
