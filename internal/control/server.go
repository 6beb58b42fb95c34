package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Agent is the agent behind the API. All methods are safe for concurrent use;
// the reading ones return at once, from what the last round has published. An
// order whose asker has gone does not reach it.
type Agent interface {
	Report() cluster.Report
	// Exchange takes note of another agent's report.
	Exchange(cluster.Report)
	Status() Status
	Explain() Explanation
	// Ready says whether this node is a voter in a healthy cluster, or why not.
	Ready() (ok bool, why string)
	Metrics() http.Handler

	// Pause takes the maintenance lock and Resume releases it.
	Pause(context.Context, PauseRequest) (PauseAnswer, error)
	Resume(context.Context) (cluster.Lock, error)
	Recover(context.Context, RecoverRequest) (cluster.Verdict, error)
	Leave(context.Context, LeaveRequest) error
	// Roll orders, cancels or plans a roll; it does not wait for its end.
	Roll(context.Context, RollRequest) (RollAnswer, error)
	NewestRoll() cluster.Roll
	// Hold blocks until no proposal is under way in this node's etcd. ErrRefused:
	// its etcd cannot hold.
	Hold(context.Context, HoldRequest) error
	// Backup blocks until a backup is good, or has failed.
	Backup(context.Context, BackupRequest) (cluster.Backup, error)
	Backups(context.Context) ([]cluster.Backup, error)
}

// PauseAnswer is the lock that was taken, and the holder's own one that was in
// force until then: to pause anew may also shorten.
type PauseAnswer struct {
	cluster.Lock
	Replaces *cluster.Lock `json:"replaces,omitempty"`
}

// ErrRefused marks what a caller asked for and the node's state forbids: 409.
var ErrRefused = errors.New("refused")

// ErrMoved marks what was passed on to a node that is not the keeper (any more),
// and nothing has been done: 421.
var ErrMoved = errors.New("moved")

// maxBody bounds a request: a report of a large cluster is some tens of KiB.
const maxBody = 1 << 20

// bodyLimit is how long a request may take to arrive: who sends a byte now and
// then must not hold a connection for ever.
const bodyLimit = 10 * time.Second

// Handler serves the agent API for n. A web page that somebody's browser shows
// cannot make it do anything: a cross-origin POST is refused, with 403.
func Handler(n Agent) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/report", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Report(), nil) })
	mux.HandleFunc("POST /v1/report", func(w http.ResponseWriter, r *http.Request) {
		var theirs cluster.Report
		if err := decode(w, r, &theirs); err != nil {
			fail(w, unreadable(err), err)
			return
		}
		n.Exchange(theirs)
		answer(w, n.Report(), nil)
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Status(), nil) })
	mux.HandleFunc("GET /v1/explain", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Explain(), nil) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, why := n.Ready(); !ok {
			fail(w, http.StatusServiceUnavailable, errors.New(why))
			return
		}
		io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", n.Metrics())
	mux.HandleFunc("POST /v1/pause", post(n.Pause))
	mux.HandleFunc("POST /v1/resume", post(func(ctx context.Context, _ struct{}) (cluster.Lock, error) { return n.Resume(ctx) }))
	mux.HandleFunc("POST /v1/recover", post(n.Recover))
	mux.HandleFunc("POST /v1/leave", post(func(ctx context.Context, r LeaveRequest) (struct{}, error) { return struct{}{}, n.Leave(ctx, r) }))
	mux.HandleFunc("POST /v1/hold", post(func(ctx context.Context, r HoldRequest) (struct{}, error) { return struct{}{}, n.Hold(ctx, r) }))
	mux.HandleFunc("POST /v1/roll", post(n.Roll))
	mux.HandleFunc("GET /v1/roll", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.NewestRoll(), nil) })
	mux.HandleFunc("POST /v1/backup", post(n.Backup))
	mux.HandleFunc("GET /v1/backups", func(w http.ResponseWriter, r *http.Request) {
		b, err := n.Backups(r.Context())
		answer(w, b, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if other := otherMethod(mux, r); other != "" {
			w.Header().Set("Allow", other)
			fail(w, http.StatusMethodNotAllowed, errors.New(r.Method+" "+r.URL.Path+": want "+other))
			return
		}
		fail(w, http.StatusNotFound, errors.New("no such path: "+r.Method+" "+r.URL.Path))
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, errors.New("a request from another site's page"))
	}))
	guarded := guard.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // and no ReadTimeout: that would end a handler that takes long
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLimit)) // only a test's recorder cannot
		}
		guarded.ServeHTTP(w, r)
	})
}

// otherMethod is the one by which the path can be asked, if there is one: the
// catch-all keeps the mux from saying so itself.
func otherMethod(mux *http.ServeMux, r *http.Request) string {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
			return method
		}
	}
	return ""
}

func post[Q, A any](do func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := decode(w, r, &q); err != nil {
			fail(w, unreadable(err), err)
			return
		}
		if isOrder(q) && askerGone(r.Context()) {
			answer(w, nil, fmt.Errorf("%w: who asked has gone: nothing was done", ErrRefused))
			return
		}
		a, err := do(r.Context(), q)
		answer(w, a, err)
	}
}

// isOrder says that a request changes something: who has given up hope of an
// answer, and may have ordered the opposite since, wants it no more.
func isOrder(q any) bool {
	switch q := q.(type) {
	case nil, cluster.Report, HoldRequest: // a hold ends by itself, and must not lose time
		return false
	case RollRequest:
		return !q.Plan
	}
	return true
}

// goneWithin is how long the end of a connection that has come already may take
// to be seen.
const goneWithin = 30 * time.Millisecond

// askerGone looks whether nobody waits any more. An agent that was held up finds
// the request and the connection's end together, and the server sees the end only
// after the body has been read. Whoever shuts only the sending half has gone too.
func askerGone(ctx context.Context) bool {
	for {
		began := time.Now()
		select {
		case <-ctx.Done():
			return true
		case <-time.After(goneWithin):
		}
		if ctx.Err() != nil {
			return true
		}
		if time.Since(began) < 10*goneWithin { // else we were held up just now
			return false
		}
	}
}

// unreadable is the code for a request that decode could not take.
func unreadable(err error) int {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the answer may take longer
	if len(body) == 0 {
		return nil
	}
	return json.Unmarshal(body, into)
}

func answer(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, ErrRefused):
		fail(w, http.StatusConflict, err)
	case errors.Is(err, ErrMoved):
		fail(w, http.StatusMisdirectedRequest, err)
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the client has gone: nothing to do
	}
}

func fail(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(Error{err.Error()})
}
