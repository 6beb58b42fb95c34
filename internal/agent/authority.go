package agent

import (
	"os"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/tlsfiles"
)

// caFile, beside etcd's pid file, holds the fingerprint of the authority files
// that the running etcd has read.
const caFile = "etcd.ca"

// notKnown is nobody's fingerprint.
const notKnown = "not known"

// authorities is what etcd trusts, against what its files say. Of the loop alone.
type authorities struct {
	read  string    // fingerprint at etcd's start
	seen  string    // of the files now, while it is another
	since time.Time // for how long: zero while nothing is to be done
}

// noteAuthorities records what an etcd that is about to start will read. Files
// that change between this and its start make one restart more than is needed.
func (a *Agent) noteAuthorities() {
	a.ca = authorities{}
	files := a.opt.Etcd.Authorities()
	if len(files) == 0 {
		_ = os.Remove(a.path(caFile))
		return
	}
	a.ca.read, _ = tlsfiles.Fingerprint(files) // etcd will say what is wrong with them
	if err := durable.WriteFile(a.path(caFile), []byte(a.ca.read), 0o600); err != nil {
		a.log.Warn("recording which authorities etcd trusts", "error", err)
	}
}

// recallAuthorities is noteAuthorities for an etcd that is adopted. Where no
// agent has recorded it, files that are older than the process are what it read.
func (a *Agent) recallAuthorities(p *etcd.Process) {
	a.ca = authorities{read: notKnown}
	files := a.opt.Etcd.Authorities()
	if raw, err := os.ReadFile(a.path(caFile)); err == nil {
		a.ca.read = string(raw)
		return
	}
	const coarse = 2 * time.Second // of a process's start time
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.ModTime().After(p.Started().Add(-coarse)) {
			return
		}
	}
	a.ca.read, _ = tlsfiles.Fingerprint(files)
}

// observeAuthorities compares the two. Files that cannot be read whole are no
// reason to restart: etcd would not start with them.
func (a *Agent) observeAuthorities(o *plan.Observation) {
	files := a.opt.Etcd.Authorities()
	if len(files) == 0 || a.proc == nil || a.foreign {
		a.ca.since = time.Time{}
		return
	}
	switch now, err := tlsfiles.Fingerprint(files); {
	case err != nil, now == a.ca.read:
		a.ca.since = time.Time{}
	case a.ca.since.IsZero(), now != a.ca.seen:
		a.ca.seen, a.ca.since = now, o.Now
	}
	if !a.ca.since.IsZero() {
		o.Process.Stale = cluster.Stale{Why: plan.StaleCA, Since: a.ca.since}
	}
}
