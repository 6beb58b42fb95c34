package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// phases watches the membership and keeps what each address has been, in order.
type phases struct {
	mu   sync.Mutex
	seen map[string][]string // by peer URL
	most int                 // learners at the same time
}

// watchMembers looks until the test ends, as often as etcd answers.
func (r *rig) watchMembers(c *clientv3.Client) *phases {
	p := &phases{seen: map[string][]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			call, end := context.WithTimeout(ctx, time.Second)
			list, err := c.MemberList(call)
			end()
			if err == nil {
				p.note(list)
			}
			time.Sleep(3 * time.Millisecond) // between two looks
		}
	}()
	return p
}

func (p *phases) note(list *clientv3.MemberListResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	learners := 0
	for _, m := range list.Members {
		role := "voter"
		if m.IsLearner {
			role = "learner"
			learners++
		}
		for _, u := range m.PeerURLs {
			if s := p.seen[u]; len(s) == 0 || s[len(s)-1] != role {
				p.seen[u] = append(s, role)
			}
		}
	}
	p.most = max(p.most, learners)
}

// of is what the host has been.
func (p *phases) of(h *host) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.seen[h.url(2380)], " ")
}

func (p *phases) atOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// wantNames waits until these are the members, all voters.
func (r *rig) wantNames(limit time.Duration, c *clientv3.Client, names ...string) {
	r.t.Helper()
	r.eventually(limit, fmt.Sprint("members ", names), func() error {
		now := r.members(c)
		for _, n := range names {
			if m, in := now[n]; !in || m.Learner {
				return fmt.Errorf("members %v", now)
			}
		}
		if len(now) != len(names) {
			return fmt.Errorf("members %v", now)
		}
		return nil
	})
}

// TestReplace: a machine is gone and another one comes: by its state, and by
// leaving the file.
func TestReplace(t *testing.T) {
	t.Parallel()
	r, a, _, c := formed(t)
	d := r.machine("d", 14)
	client := r.client("a", "b", "d")
	watch := r.watchMembers(client)

	c.crash()
	d.start()
	d.says(20*time.Second, "not in the peers source")
	r.writePeers(r.entries("a", "b", "c=terminated", "d"))
	r.voters(60*time.Second, "a", "b", "d")
	r.wantNames(10*time.Second, client, "a", "b", "d")
	if got := watch.of(d); got != "learner voter" {
		t.Errorf("d has been %q, want a learner and then a voter", got)
	}

	a.crash() // and now by leaving the file
	e := r.machine("e", 15)
	r.list("b", "d", "e")
	e.start()
	client = r.client("b", "d", "e")
	r.voters(60*time.Second, "b", "d", "e")
	r.wantNames(10*time.Second, client, "b", "d", "e")
	r.onlyEpochOne()
}

// entries is a peers file's text: each a name, or name=state.
func (r *rig) entries(list ...string) string {
	var b strings.Builder
	for _, each := range list {
		name, state, found := strings.Cut(each, "=")
		if !found {
			state = "running"
		}
		fmt.Fprintf(&b, "- {name: %s, host: %s, state: %s}\n", name, r.nodes[name].addr, state)
	}
	return b.String()
}

// TestNotRemoved: a dead voter stays a member while nobody can prove that its
// machine is gone, or while the rest would not be a quorum.
func TestNotRemoved(t *testing.T) {
	t.Parallel()
	r, _, b, c := formed(t)
	d := r.machine("d", 14)
	client := r.client("a", "b")
	if h := r.leader("a", "b", "c"); h == c {
		b, c = c, b
		client = r.client("a", b.name)
	}
	c.crash()
	keeper := r.leader("a", b.name)
	keeper.says(20*time.Second, "a voter is unhealthy, and nothing proves that it is lost")
	before := r.members(client)
	whole := r.entries("a", "b", "c")
	for name, row := range map[string]struct {
		write func()
		says  string
	}{
		"empty":        {func() { r.writePeers("") }, ""},
		"half written": {func() { r.writePeers(whole[:strings.LastIndex(whole, "- ")+9]) }, ""},
		"garbage":      {func() { r.writePeers("\x00\x01not: [a list") }, ""},
		"a directory": {func() {
			must(t, os.Remove(r.peersFile()))
			must(t, os.Mkdir(r.peersFile(), 0o700))
		}, ""},
		"most lost at once": {func() { r.writePeers(r.entries(keeper.name)) }, "more than a minority at once"},
		"the rest would be no quorum": {func() {
			other := r.others(keeper, "a", b.name)[0]
			r.writePeers(r.entries(keeper.name, other+"=terminated", c.name))
		}, "the rest would not be a quorum"},
		"other machines": {func() { r.writePeers("- {name: x, host: 203.0.113.9}\n") }, "more than a minority at once"},
	} {
		row.write()
		want := row.says
		if want == "" {
			want = "the peers source cannot be read: no machine is added, and none counts as gone"
			r.eventually(20*time.Second, name+": the source is doubted", func() error {
				if !strings.Contains(keeper.explains(), `"view":{"state":"unknown"}`) {
					return errors.New("it is believed")
				}
				return nil
			})
		}
		keeper.says(20*time.Second, want)
		keeper.stays(2, name, func(rep cluster.Report) error {
			if len(rep.Members) != 3 {
				return fmt.Errorf("members %v", rep.Members)
			}
			return because(want)(rep)
		})
		_ = os.RemoveAll(r.peersFile())
		r.writePeers(whole)
		r.eventually(20*time.Second, "the source is believed again", func() error {
			if e := keeper.explains(); !strings.Contains(e, `"view":{"state":"known"`) || !strings.Contains(e, c.addr) {
				return errors.New("not yet")
			}
			return nil
		})
	}
	if now := r.members(client); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("members %v, before %v", now, before)
	}
	// A terminating machine does not join, and a running one does.
	var rest []string
	for _, n := range []string{"a", "b", "c"} {
		if n != c.name {
			rest = append(rest, n)
		}
	}
	r.writePeers(r.entries(append(rest, c.name+"=terminated", "d=terminating")...))
	d.start()
	d.says(20*time.Second, "this machine is being terminated")
	d.stays(6, "does not join", func(rep cluster.Report) error {
		if rep.Joining || rep.Etcd.Running {
			return fmt.Errorf("joining %v, running %v", rep.Joining, rep.Etcd.Running)
		}
		return nil
	})
	r.list(append(rest, "d")...)
	r.voters(60*time.Second, append(rest, "d")...)
}

// explains is what the agent has seen and decided, as JSON without blanks.
func (h *host) explains() string {
	h.r.t.Helper()
	resp, err := http.Get(h.url(2378) + "/v1/explain")
	must(h.r.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(h.r.t, err)
	return strings.Join(strings.Fields(string(raw)), "")
}
