package agent

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// contact is another agent that this one asks each second.
type contact struct {
	peerURL string
	asking  bool
	asked   time.Time
	report  cluster.Report
	at      time.Time // when report came; zero: never
	seen    time.Time // when no agent but an etcd last answered there
}

type heardReport struct {
	report cluster.Report
	at     time.Time
}

// gossip exchanges reports with every agent that may matter: those of the view,
// and those at the addresses of known members. Each exchange runs by itself, so
// that a silent agent delays nobody.
func (a *Agent) gossip(ctx context.Context, o plan.Observation) {
	targets := a.targets(o)
	every := time.Second
	if !a.published.Load().ready {
		every = 200 * time.Millisecond
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for agentURL := range a.heard {
		if _, wanted := targets[agentURL]; !wanted && !a.heard[agentURL].asking {
			delete(a.heard, agentURL)
		}
	}
	for agentURL, peerURL := range targets {
		c := a.heard[agentURL]
		if c == nil {
			c = &contact{}
			a.heard[agentURL] = c
		}
		c.peerURL = peerURL
		if c.asking || time.Since(c.asked) < every {
			continue
		}
		c.asking, c.asked = true, time.Now()
		a.work.Go(func() { a.exchange(ctx, agentURL, peerURL, c) })
	}
}

// gossipNow makes every exchange due: we have news.
func (a *Agent) gossipNow() {
	a.mu.Lock()
	for _, c := range a.heard {
		c.asked = time.Time{}
	}
	a.mu.Unlock()
}

// targets maps agent URLs to peer URLs.
func (a *Agent) targets(o plan.Observation) map[string]string {
	out := map[string]string{}
	atPeer := map[string]bool{a.peerURL(): true}
	add := func(agentURL, peerURL string) {
		if !atPeer[peerURL] {
			out[agentURL] = peerURL
			atPeer[peerURL] = true
		}
	}
	for _, p := range o.View.Value().Peers {
		add(p.AgentURL(a.parts.Secure.Agent), p.PeerURL(a.parts.Secure.Peer))
	}
	for _, r := range o.Reports {
		add(r.Agent, r.PeerURL)
	}
	for _, list := range [][]cluster.Member{o.Members.Value(), o.Ledger.Checkpoint.Value().Members, members(o.Ledger.Charter.Value())} {
		for _, m := range list {
			for _, u := range m.PeerURLs {
				add(a.agentBeside(u), u)
			}
		}
	}
	delete(out, a.agentURL())
	delete(out, "")
	return out
}

func members(c cluster.Charter) []cluster.Member {
	var out []cluster.Member
	for _, f := range c.Founders {
		out = append(out, cluster.Member{Name: f.Name, PeerURLs: []string{f.PeerURL}})
	}
	return out
}

// agentBeside guesses the agent of a member that no view lists: our own agent
// port on the member's host.
func (a *Agent) agentBeside(peerURL string) string {
	u, err := url.Parse(peerURL)
	if err != nil || u.Hostname() == "" || u.Hostname() == a.opt.Host {
		return ""
	}
	return a.parts.Secure.Agent + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(a.opt.AgentPort))
}

func (a *Agent) exchange(ctx context.Context, agentURL, peerURL string, c *contact) {
	call, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := a.hearFrom(call, agentURL)
	stranger := false
	if err != nil && ctx.Err() == nil {
		_, silent := a.parts.AtPeer(call, peerURL)
		stranger = silent == nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.asking = false
	if stranger {
		c.seen = time.Now()
	}
	if err != nil {
		a.metrics.silent(agentURL)
		return
	}
	now := time.Now()
	if a.isLate(r, now) {
		return
	}
	news := c.at.IsZero() || now.Sub(c.at) > reportFresh || matters(c.report, r)
	c.report, c.at = r, now
	a.learn(r, news)
}

func (a *Agent) hearFrom(ctx context.Context, agentURL string) (cluster.Report, error) {
	c := control.NewClient(agentURL, a.parts.HTTP)
	if a.readOnly {
		return c.Report(ctx)
	}
	return c.Exchange(ctx, a.Report())
}

// Exchange takes note of a report that another agent has sent us.
func (a *Agent) Exchange(r cluster.Report) {
	if r.PeerURL == "" || r.PeerURL == a.peerURL() || r.Cluster != a.opt.Settings.Cluster {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.isLate(r, now) {
		return
	}
	old, known := a.guests[r.PeerURL]
	a.guests[r.PeerURL] = heardReport{r, now}
	a.learn(r, !known || matters(old.report, r))
}

// learn passes on what a report tells of the ledger. Called with mu held.
func (a *Agent) learn(r cluster.Report, news bool) {
	a.book.hear(r)
	if news {
		a.poke()
	}
}

// matters says that two reports of one agent differ in what a decision reads.
func matters(a, b cluster.Report) bool {
	epoch := func(r cluster.Report) cluster.Epoch {
		if r.Charter == nil {
			return 0
		}
		return r.Charter.Epoch
	}
	grant := func(r cluster.Report) string {
		if r.Grant == nil {
			return ""
		}
		return r.Grant.Nonce
	}
	roll := func(r cluster.Report) uint64 {
		if r.Roll == nil {
			return 0
		}
		return r.Roll.Number
	}
	return roll(a) != roll(b) || a.Rolled != b.Rolled || a.Etcd.Healthy != b.Etcd.Healthy || a.Stale.Why != b.Stale.Why ||
		epoch(a) != epoch(b) || grant(a) != grant(b) || a.Disk.State != b.Disk.State || a.Keeper != b.Keeper ||
		a.Etcd.Leader != b.Etcd.Leader || len(a.Members) != len(b.Members) || len(a.Invitations) != len(b.Invitations) ||
		a.Joining != b.Joining || len(a.Disowns) != len(b.Disowns) || a.Lost != b.Lost || a.Leaving != b.Leaving ||
		a.Moved != b.Moved || a.Restarting != b.Restarting || a.ViewHash != b.ViewHash || a.Etcd.Running != b.Etcd.Running
}

// freshReports are the newest report of each agent, none older than 3 s, and
// the peer URLs where only an etcd answers. Called with mu held.
func (a *Agent) freshReports(now time.Time) (reports []cluster.Report, strangers []string) {
	newest := map[string]heardReport{}
	for _, c := range a.heard {
		if !c.at.IsZero() {
			newest[c.report.PeerURL] = heardReport{c.report, c.at}
		}
		if now.Sub(c.seen) <= reportFresh {
			strangers = append(strangers, c.peerURL)
		}
	}
	for u, g := range a.guests {
		if now.Sub(g.at) > reportFresh {
			delete(a.guests, u)
			continue
		}
		if h, ok := newest[u]; !ok || g.report.At.After(h.report.At) {
			newest[u] = g
		}
	}
	for u, h := range newest {
		if now.Sub(h.at) <= reportFresh && u != a.peerURL() {
			reports = append(reports, h.report)
		}
	}
	sortReports(reports)
	return reports, strangers
}
