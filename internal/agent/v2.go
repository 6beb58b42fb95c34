package agent

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// v2Look is what is known of the v2 store in our data. Safe for concurrent use.
type v2Look struct {
	reading sync.Mutex // held while the log is read, which may take a second
	reader  *etcd.V2Reader

	mu     sync.Mutex
	found  etcd.V2
	err    error
	looked bool
}

// look reads now.
func (l *v2Look) look() (etcd.V2, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	found, err := l.reader.Read()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found, l.err, l.looked = found, err, true
	return found, err
}

// mayHoldV2 says that an etcd of that version may have more to tell: 3.6 takes no
// content of the v2 store, and 3.7 nothing of its form.
func mayHoldV2(runs cluster.Version) bool {
	return !runs.Zero() && runs.Less(cluster.Version{Major: 3, Minor: 7})
}

// facts are what was found last, for a report: what was not read is not known.
func (l *v2Look) facts(runs cluster.Version) (content, elder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !mayHoldV2(runs):
		return "", ""
	case !l.looked:
		content, elder = "unknown: it has not been looked for yet", "it has not been looked for entries that etcd 3.7 does not know"
	case l.err != nil:
		content, elder = "unknown: "+l.err.Error(), l.err.Error()
	default:
		content, elder = l.found.Content, l.found.Elder()
	}
	if !runs.Less(cluster.Version{Major: 3, Minor: 6}) {
		content = "" // it has started
	}
	return content, elder
}

// watchV2 looks at our data beside the running etcd, while there can be anything;
// as the keeper's agent it writes past what etcd 3.7 would panic over.
func (a *Agent) watchV2(ctx context.Context) {
	for ctx.Err() == nil {
		o := a.published.Load().observation
		runs, _ := cluster.ParseVersion(o.Etcd.Value().Version)
		if mayHoldV2(runs) {
			if _, err := a.v2.look(); err != nil {
				a.log.Debug("looking at the data", "error", err)
			}
		}
		if plan.PassesLog(o) {
			a.passLog(ctx)
		}
		sleep(ctx, v2Pace)
	}
}

const (
	passChunk  = 200 // entries between two looks at whether more are wanted
	passAtOnce = 4
	passLimit  = 30 * time.Second // for a chunk
)

// passLog writes entries that change nothing, a few at a time, while they are wanted.
func (a *Agent) passLog(ctx context.Context) {
	a.log.Info("entries that change nothing are written, until the logs are without what etcd 3.7 does not know")
	own := a.parts.Dial(a.clientURL())
	defer own.Close()
	written := 0
	for began := time.Now(); ctx.Err() == nil && plan.PassesLog(a.published.Load().observation); written += passChunk {
		call, cancel := context.WithTimeout(ctx, passLimit)
		err := own.Propose(call, passChunk, passAtOnce)
		cancel()
		if err != nil {
			a.log.Warn("writing entries that change nothing", "error", err)
			return
		}
		if time.Since(began) > v2Pace {
			began = time.Now()
			if _, err := a.v2.look(); err != nil { // ours; the others look themselves
				a.log.Debug("looking at the data", "error", err)
			}
		}
	}
	a.log.Info("entries that change nothing were written", "entries", written)
}
