package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// ordered counts the orders that reach it.
type ordered struct {
	Agent
	done, held atomic.Int32
}

func (*ordered) Metrics() http.Handler { return http.NotFoundHandler() }

func (o *ordered) Hold(context.Context, HoldRequest) error { o.held.Add(1); return nil }
func (o *ordered) Exchange(cluster.Report)                 { o.held.Add(1) }
func (o *ordered) Report() cluster.Report                  { return cluster.Report{} }

func (o *ordered) Leave(context.Context, LeaveRequest) error { o.done.Add(1); return nil }
func (o *ordered) Pause(context.Context, PauseRequest) (PauseAnswer, error) {
	o.done.Add(1)
	return PauseAnswer{}, nil
}

func (o *ordered) Resume(context.Context) (cluster.Lock, error) {
	o.done.Add(1)
	return cluster.Lock{}, nil
}

func (o *ordered) Recover(context.Context, RecoverRequest) (cluster.Verdict, error) {
	o.done.Add(1)
	return cluster.Verdict{}, nil
}

func (o *ordered) Roll(context.Context, RollRequest) (RollAnswer, error) {
	o.done.Add(1)
	return RollAnswer{}, nil
}

func (o *ordered) Backup(context.Context, BackupRequest) (cluster.Backup, error) {
	o.done.Add(1)
	return cluster.Backup{}, nil
}

// orders are all that change something.
var orders = map[string]func(context.Context, *Client) error{
	"pause":   func(ctx context.Context, c *Client) error { _, err := c.Pause(ctx, PauseRequest{}); return err },
	"resume":  func(ctx context.Context, c *Client) error { _, err := c.Resume(ctx); return err },
	"recover": func(ctx context.Context, c *Client) error { _, err := c.Recover(ctx, RecoverRequest{}); return err },
	"leave":   func(ctx context.Context, c *Client) error { return c.Leave(ctx, LeaveRequest{}) },
	"roll":    func(ctx context.Context, c *Client) error { _, err := c.Roll(ctx, RollRequest{}); return err },
	"backup":  func(ctx context.Context, c *Client) error { _, err := c.Backup(ctx, BackupRequest{}); return err },
}

// others are requests that cost nothing when nobody waits for them.
var others = map[string]func(context.Context, *Client) error{
	"status":    func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
	"report":    func(ctx context.Context, c *Client) error { _, err := c.Exchange(ctx, cluster.Report{}); return err },
	"hold":      func(ctx context.Context, c *Client) error { return c.Hold(ctx, HoldRequest{}) },
	"roll plan": func(ctx context.Context, c *Client) error { _, err := c.Roll(ctx, RollRequest{Plan: true}); return err },
}

// frozen is an agent whose process stands still: the kernel takes connections for
// it. Once thawed it serves them all, and says so of each request on dealt.
type frozen struct {
	ordered
	ln    net.Listener
	dealt chan struct{}
}

func freeze(t *testing.T) *frozen {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &frozen{ln: ln, dealt: make(chan struct{}, 100)}
}

func (f *frozen) thaw(t *testing.T, p *http.Protocols) {
	h := Handler(&f.ordered)
	srv := &http.Server{Protocols: p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { f.dealt <- struct{}{} }()
		h.ServeHTTP(w, r)
	})}
	t.Cleanup(func() { srv.Close() })
	go srv.Serve(f.ln)
}

func (f *frozen) client(t *testing.T, p *http.Protocols) *Client {
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return NewClient("http://"+f.ln.Addr().String(), &http.Client{Transport: tr})
}

func protocols() map[string]*http.Protocols {
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	return map[string]*http.Protocols{"HTTP/1.1": one, "HTTP/2": two}
}

// TestAskerGone: what an agent finds in its sockets when it is thawed, it does
// not do, for whoever asked has gone; what is asked then, it does.
func TestAskerGone(t *testing.T) {
	for protocol, p := range protocols() {
		for name, ask := range orders {
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				f := freeze(t)
				call, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := ask(call, f.client(t, p)); !errors.Is(err, ErrUnanswered) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the asker heard %v", err)
				}
				f.thaw(t, p)
				<-f.dealt
				if n := f.done.Load(); n != 0 {
					t.Errorf("carried out %d times for nobody", n)
				}
				if err := ask(t.Context(), f.client(t, p)); err != nil || f.done.Load() != 1 {
					t.Errorf("asked anew: %v, carried out %d times", err, f.done.Load())
				}
			})
		}
	}
}

// TestUnanswered: only an order that has gone out may have been done.
func TestUnanswered(t *testing.T) {
	ask := func(f *frozen, what func(context.Context, *Client) error) error {
		call, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return what(call, f.client(t, protocols()["HTTP/1.1"]))
	}
	f := freeze(t)
	for name, other := range others {
		if err := ask(f, other); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnanswered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.ln.Close()
	for name, order := range orders {
		if err := ask(f, order); err == nil || errors.Is(err, ErrUnanswered) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
}

// TestNoDelay: a hold and an exchange of reports do not wait to see who has gone.
func TestNoDelay(t *testing.T) {
	o := &ordered{}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, path := range []string{"/v1/hold", "/v1/report"} {
		r, err := http.NewRequestWithContext(gone, "POST", path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		Handler(o).ServeHTTP(discard{}, r)
	}
	if n := o.held.Load(); n != 2 {
		t.Errorf("%d of 2 reached the agent", n)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
