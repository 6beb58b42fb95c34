package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"github.com/quorate/quorate/internal/cluster"
)

// Client speaks to one agent. Every call ends with its context; an order that
// ends without an answer is ErrUnanswered.
type Client struct {
	base string
	http *http.Client
}

// NewClient is a client of the agent at base, http(s)://host:port.
func NewClient(base string, h *http.Client) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: h}
}

// Base is the agent's URL.
func (c *Client) Base() string { return c.base }

// Exchange gives the agent our report and returns its own.
func (c *Client) Exchange(ctx context.Context, ours cluster.Report) (cluster.Report, error) {
	return call[cluster.Report](ctx, c, http.MethodPost, "/v1/report", ours)
}

// Report is the agent's report.
func (c *Client) Report(ctx context.Context) (cluster.Report, error) {
	return call[cluster.Report](ctx, c, http.MethodGet, "/v1/report", nil)
}

// Status is what the agent knows of the whole cluster.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// Explain is the agent's last decision and its alternatives.
func (c *Client) Explain(ctx context.Context) (Explanation, error) {
	return call[Explanation](ctx, c, http.MethodGet, "/v1/explain", nil)
}

// Pause takes the maintenance lock.
func (c *Client) Pause(ctx context.Context, r PauseRequest) (PauseAnswer, error) {
	return call[PauseAnswer](ctx, c, http.MethodPost, "/v1/pause", r)
}

// Resume releases the maintenance lock.
func (c *Client) Resume(ctx context.Context) (cluster.Lock, error) {
	return call[cluster.Lock](ctx, c, http.MethodPost, "/v1/resume", struct{}{})
}

// Recover gives the operator's word on what is lost.
func (c *Client) Recover(ctx context.Context, r RecoverRequest) (cluster.Verdict, error) {
	return call[cluster.Verdict](ctx, c, http.MethodPost, "/v1/recover", r)
}

// Hold has the agent's etcd hold back what clients propose, for a hand-over.
func (c *Client) Hold(ctx context.Context, r HoldRequest) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/v1/hold", r)
	return err
}

// Leave takes the agent's node out of the cluster.
func (c *Client) Leave(ctx context.Context, r LeaveRequest) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/v1/leave", r)
	return err
}

// Backup asks for a backup and waits for it.
func (c *Client) Backup(ctx context.Context, r BackupRequest) (cluster.Backup, error) {
	return call[cluster.Backup](ctx, c, http.MethodPost, "/v1/backup", r)
}

// Backups lists the good backups, newest first.
func (c *Client) Backups(ctx context.Context) ([]cluster.Backup, error) {
	return call[[]cluster.Backup](ctx, c, http.MethodGet, "/v1/backups", nil)
}

// ErrUnanswered marks an order that has gone out, and what became of it is not known.
var ErrUnanswered = errors.New("no answer, and it may have been done")

func call[A any](ctx context.Context, c *Client, method, path string, q any) (A, error) {
	var a A
	var sent atomic.Bool
	watched := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	code, raw, err := c.ask(watched, method, path, q)
	switch {
	case err != nil && isOrder(q) && sent.Load():
		return a, fmt.Errorf("%w: %w", ErrUnanswered, err)
	case err != nil:
		return a, err
	case code/100 != 2:
		return a, remoteError(c.base, code, raw)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("reading agent %s: %w", c.base, err)
	}
	return a, nil
}

// ask fails if no whole answer comes.
func (c *Client) ask(ctx context.Context, method, path string, q any) (code int, raw []byte, err error) {
	var body io.Reader
	if q != nil {
		b, err := json.Marshal(q)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("asking agent %s: %w", c.base, err)
	}
	defer resp.Body.Close()
	raw, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("reading agent %s: %w", c.base, err)
	}
	return resp.StatusCode, raw, nil
}

func remoteError(base string, code int, raw []byte) error {
	var e Error
	if json.Unmarshal(raw, &e) != nil || e.Message == "" {
		e.Message = http.StatusText(code)
		// Go's own server says so in plain text that the asker should speak TLS.
		if text := strings.TrimSpace(string(raw)); len(text) < 200 && !strings.ContainsAny(text, "<\n") {
			e.Message += ": " + text
		}
	}
	for status, is := range map[int]error{http.StatusConflict: ErrRefused, http.StatusMisdirectedRequest: ErrMoved} {
		if code == status {
			return fmt.Errorf("agent %s: %w: %s", base, is, strings.TrimPrefix(e.Message, is.Error()+": "))
		}
	}
	return fmt.Errorf("agent %s: %s", base, e.Message)
}
