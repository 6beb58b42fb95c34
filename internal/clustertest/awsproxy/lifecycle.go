package awsproxy

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// machine is an instance whose group has, or had, a hook for what happens to it.
type machine struct {
	id, group, region string
	state             string          // of its lifecycle; empty: what moto says
	waiting           map[string]bool // hooks that have not been completed
	deadline          time.Time       // zero: it waits for ever
	began             time.Time
	ended             bool
}

const (
	pendingWait     = "Pending:Wait"
	terminatingWait = "Terminating:Wait"
	launching       = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating     = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// HookTimeout has an instance wait no longer than that for its hooks; each
// heartbeat starts it anew. 0, as at first: for ever.
func (p *Proxy) HookTimeout(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hookTimeout = d
	for _, m := range p.machines {
		m.deadline = p.deadline()
	}
}

// OnTerminated is called, by one at a time, when an instance has really ended.
func (p *Proxy) OnTerminated(f func(instanceID string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onTerminated = f
}

// Notify has the group's hooks send their messages to the queue.
func (p *Proxy) Notify(group, queueURL string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queues[group] = queueURL
}

// State is the lifecycle state that the proxy shows for the instance; empty
// when it leaves it to moto: in service, or gone.
func (p *Proxy) State(instanceID string) string {
	p.expire()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stateOf(instanceID)
}

// Terminate ends an instance as TerminateInstanceInAutoScalingGroup does:
// after its hooks, and with a replacement at once unless the group shrinks.
func (p *Proxy) Terminate(region, instanceID string, shrink bool) {
	p.t.Helper()
	if err := p.terminate(region, instanceID, p.unless(shrink)); err != nil {
		p.t.Errorf("terminating %s: %v", instanceID, err)
	}
}

// answer says that the proxy has answered an Auto Scaling call.
func (p *Proxy) answer(w http.ResponseWriter, c Call) bool {
	id, group := c.Params.Get("InstanceId"), c.Params.Get("AutoScalingGroupName")
	switch c.Action {
	case "RecordLifecycleActionHeartbeat":
		p.meetNewcomers(c.Region)
		p.reply(w, c, p.heartbeat(id, group, c.Params.Get("LifecycleHookName")))
	case "CompleteLifecycleAction":
		p.meetNewcomers(c.Region)
		p.reply(w, c, p.complete(id, group, c.Params.Get("LifecycleHookName"), c.Params.Get("LifecycleActionResult")))
	case "TerminateInstanceInAutoScalingGroup":
		p.reply(w, c, p.terminate(c.Region, id, p.unless(c.Params.Get("ShouldDecrementDesiredCapacity") == "true")))
	case "SetDesiredCapacity":
		n, _ := strconv.Atoi(c.Params.Get("DesiredCapacity"))
		p.reply(w, c, p.scale(c.Region, group, n))
	case "DescribeAutoScalingGroups", "DescribeAutoScalingInstances":
		p.meetNewcomers(c.Region)
		return false
	case "UpdateAutoScalingGroup":
		n, err := strconv.Atoi(c.Params.Get("DesiredCapacity"))
		if err != nil {
			return false
		}
		rest := maps.Clone(c.Params)
		rest.Del("DesiredCapacity")
		if _, err = p.ask("autoscaling", c.Region, rest); err == nil {
			err = p.scale(c.Region, group, n)
		}
		p.reply(w, c, err)
	default:
		return false
	}
	return true
}

func (p *Proxy) reply(w http.ResponseWriter, c Call, err error) {
	if err != nil {
		refuse(w, Fault{Status: 400, Code: "ValidationError", Message: err.Error()})
		return
	}
	succeed(w, c.Action)
}

// waits is the machine of which AWS would say that its hook is active.
func (p *Proxy) waits(id, group, hook string) (*machine, error) {
	m := p.machines[id]
	if m == nil || m.group != group || !m.waiting[hook] {
		return nil, fmt.Errorf("No active Lifecycle Action found with instance ID %s", id) //lint:ignore ST1005 as AWS writes it
	}
	return m, nil
}

func (p *Proxy) heartbeat(id, group, hook string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, err := p.waits(id, group, hook)
	if err == nil {
		m.deadline = p.deadline()
	}
	return err
}

func (p *Proxy) complete(id, group, hook, result string) error {
	p.mu.Lock()
	m, err := p.waits(id, group, hook)
	if err == nil {
		delete(m.waiting, hook)
	}
	done := err == nil && (len(m.waiting) == 0 || result == "ABANDON")
	p.mu.Unlock()
	if done {
		return p.proceed(m)
	}
	return err
}

// expire lets go those whose time is over.
func (p *Proxy) expire() {
	p.mu.Lock()
	var over []*machine
	for _, m := range p.machines {
		if m.state != "" && !m.deadline.IsZero() && time.Now().After(m.deadline) {
			over = append(over, m)
		}
	}
	p.mu.Unlock()
	for _, m := range over {
		if err := p.proceed(m); err != nil {
			p.t.Errorf("ending %s, whose hook has timed out: %v", m.id, err)
		}
	}
}

// proceed is what follows when no hook is left: in service, or the end.
func (p *Proxy) proceed(m *machine) error {
	p.mu.Lock()
	was := m.state
	clear(m.waiting)
	if was == pendingWait || was == "" {
		m.state, m.deadline = "", time.Time{}
		p.mu.Unlock()
		return nil
	}
	m.state, m.deadline = "Terminating:Proceed", time.Time{}
	p.mu.Unlock()
	if was != terminatingWait {
		return nil
	}
	return p.end(m)
}

// end has moto end the instance: it was counted in the desired capacity that
// moto knows until now.
func (p *Proxy) end(m *machine) error {
	p.moment.Lock()
	_, err := p.ask("autoscaling", m.region, url.Values{"Action": {"TerminateInstanceInAutoScalingGroup"}, "Version": {"2011-01-01"},
		"InstanceId": {m.id}, "ShouldDecrementDesiredCapacity": {"true"}})
	p.mu.Lock()
	m.state, m.ended = "", true
	tell := p.onTerminated
	p.mu.Unlock()
	p.moment.Unlock()
	tell(m.id)
	return err
}

// scale makes the group so large: with newcomers, or by ending its oldest.
func (p *Proxy) scale(region, group string, n int) error {
	p.meetNewcomers(region)
	p.mu.Lock()
	var stay []*machine
	for _, m := range p.machines {
		if m.region == region && m.group == group && !m.ends() {
			stay = append(stay, m)
		}
	}
	ending := p.ending(region, group)
	p.mu.Unlock()
	slices.SortFunc(stay, func(a, b *machine) int { return a.began.Compare(b.began) })
	for _, m := range stay[:max(0, len(stay)-n)] {
		if err := p.terminate(region, m.id, nil); err != nil {
			return err
		}
	}
	if n <= len(stay) {
		return nil
	}
	return p.setDesired(region, group, n+ending)
}

func (p *Proxy) setDesired(region, group string, n int) error {
	_, err := p.ask("autoscaling", region, url.Values{"Action": {"UpdateAutoScalingGroup"}, "Version": {"2011-01-01"},
		"AutoScalingGroupName": {group}, "DesiredCapacity": {strconv.Itoa(n)}})
	return err
}

// ends says that the machine is on its way out, or gone.
func (m *machine) ends() bool { return m.ended || m.state != "" && m.state != pendingWait }

// terminate begins an instance's end; also is what else the group does, and
// nil when it shrinks.
func (p *Proxy) terminate(region, id string, also func(*machine) error) error {
	p.meetNewcomers(region)
	p.mu.Lock()
	m := p.machines[id]
	p.mu.Unlock()
	if m == nil {
		return fmt.Errorf("Instance Id not found - No managed instance found for instance ID %s", id) //lint:ignore ST1005 as AWS writes it
	}
	hooks := p.hooks(region, m.group, terminating)
	if began, err := p.begin(m, hooks, also); err != nil || !began {
		return err
	}
	p.mu.Lock()
	queue := p.queues[m.group]
	p.mu.Unlock()
	if len(hooks) == 0 {
		return p.proceed(m)
	}
	for hook := range hooks {
		p.send(m, queue, hook)
	}
	return nil
}

// unless is that the group launches a replacement, unless it shrinks.
func (p *Proxy) unless(shrink bool) func(*machine) error {
	if shrink {
		return nil
	}
	return p.replace
}

// begin has the instance wait for its end, and does what belongs to that in the
// same moment for all who look. False when it was ending already.
func (p *Proxy) begin(m *machine, hooks map[string]bool, also func(*machine) error) (bool, error) {
	p.moment.Lock()
	defer p.moment.Unlock()
	p.mu.Lock()
	ends := m.ends()
	if !ends {
		m.state, m.waiting, m.deadline = terminatingWait, maps.Clone(hooks), p.deadline()
	}
	p.mu.Unlock()
	if ends || also == nil {
		return !ends, nil
	}
	return true, also(m)
}

// replace launches one more than moto counts, so that as many stay as before.
func (p *Proxy) replace(m *machine) error {
	n := 0
	for _, group := range p.instances(m.region) {
		if group == m.group {
			n++
		}
	}
	return p.setDesired(m.region, m.group, n+1)
}

// send tells of a hook as Auto Scaling does it directly to SQS.
func (p *Proxy) send(m *machine, queue, hook string) {
	if queue == "" {
		return
	}
	body, _ := json.Marshal(map[string]string{"Origin": "AutoScalingGroup", "Destination": "EC2", "AccountId": "123456789012",
		"LifecycleHookName": hook, "LifecycleTransition": terminating, "AutoScalingGroupName": m.group, "EC2InstanceId": m.id,
		"LifecycleActionToken": "00000000-0000-0000-0000-000000000000", "Time": time.Now().UTC().Format(time.RFC3339)})
	p.Send(m.region, queue, string(body))
}

// Send puts a message into a queue.
func (p *Proxy) Send(region, queueURL, body string) {
	p.t.Helper()
	_, err := p.ask("sqs", region, url.Values{"Action": {"SendMessage"}, "Version": {"2012-11-05"}, "QueueUrl": {queueURL}, "MessageBody": {body}})
	if err != nil {
		p.t.Errorf("sending to %s: %v", queueURL, err)
	}
}

// meetNewcomers begins the launching hooks of instances not seen before.
func (p *Proxy) meetNewcomers(region string) {
	for id, group := range p.instances(region) {
		p.mu.Lock()
		_, known := p.machines[id]
		p.mu.Unlock()
		if known {
			continue
		}
		hooks := p.hooks(region, group, launching)
		p.mu.Lock()
		if _, known := p.machines[id]; !known {
			m := &machine{id: id, group: group, region: region, began: time.Now(), waiting: maps.Clone(hooks)}
			if len(hooks) > 0 {
				m.state, m.deadline = pendingWait, p.deadline()
			}
			p.machines[id] = m
		}
		p.mu.Unlock()
	}
}

// instances are the region's, as moto knows them, with their groups.
func (p *Proxy) instances(region string) map[string]string {
	body, err := p.ask("autoscaling", region, url.Values{"Action": {"DescribeAutoScalingInstances"}, "Version": {"2011-01-01"}})
	if err != nil {
		p.t.Errorf("asking moto for the groups of %s: %v", region, err)
	}
	out := map[string]string{}
	each(body, "AutoScalingInstances", "member", func(piece []byte) []byte {
		if id := found(groupInstance, piece); id != "" {
			out[id] = found(groupName, piece)
		}
		return nil
	})
	return out
}

var (
	hookName       = regexp.MustCompile(`<LifecycleHookName>([^<]*)</LifecycleHookName>`)
	hookTransition = regexp.MustCompile(`<LifecycleTransition>([^<]*)</LifecycleTransition>`)
)

// hooks are those of the group for one transition.
func (p *Proxy) hooks(region, group, transition string) map[string]bool {
	body, err := p.ask("autoscaling", region, url.Values{"Action": {"DescribeLifecycleHooks"}, "Version": {"2011-01-01"}, "AutoScalingGroupName": {group}})
	if err != nil {
		p.t.Errorf("asking moto for the hooks of %s: %v", group, err)
	}
	out := map[string]bool{}
	each(body, "LifecycleHooks", "member", func(piece []byte) []byte {
		if found(hookTransition, piece) == transition {
			out[found(hookName, piece)] = true
		}
		return nil
	})
	return out
}

func (p *Proxy) stateOf(id string) string {
	if m := p.machines[id]; m != nil {
		return m.state
	}
	return ""
}

// ending is how many of the group are on their way out and still counted by moto.
func (p *Proxy) ending(region, group string) int {
	n := 0
	for _, m := range p.machines {
		if m.region == region && m.group == group && !m.ended && m.ends() {
			n++
		}
	}
	return n
}

func (p *Proxy) deadline() time.Time {
	if p.hookTimeout == 0 {
		return time.Time{}
	}
	return time.Now().Add(p.hookTimeout)
}
