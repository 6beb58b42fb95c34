package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/publish"
)

// TokenVariable holds the API token, as Cloudflare's own tools have it.
const TokenVariable = "CLOUDFLARE_API_TOKEN"

// ReadToken reads the token from a file, or takes the variable's value.
func ReadToken(file, variable string) (string, error) {
	token := variable
	if file != "" {
		raw, err := publish.ReadCredential("token-file", file)
		if err != nil {
			return "", err
		}
		token = string(raw)
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " \r\n") {
		return "", fmt.Errorf("no API token: give token-file=/path, or set %s", TokenVariable)
	}
	return token, nil
}

// callLimit bounds one request; limitPatience how long a rate limit is waited for.
const (
	callLimit     = 20 * time.Second
	limitPatience = 30 * time.Second
)

// client speaks the API's envelope.
type client struct {
	base  string
	token func() (string, error)
}

var transport = &http.Client{Timeout: callLimit, CheckRedirect: func(*http.Request, []*http.Request) error {
	return errors.New("an API does not redirect") // and the token stays here
}}

// do is one call; result may be nil. A rate limit is waited for once, where it
// says that it will not be long.
func (c client) do(ctx context.Context, method, path string, body, result any) error {
	_, err := c.page(ctx, method, path, body, result)
	return err
}

// page is do, and tells of which pages the result is one.
func (c client) page(ctx context.Context, method, path string, body, result any) (pages, error) {
	e, wait, err := c.once(ctx, method, path, body, result)
	if wait <= 0 || wait > limitPatience {
		return e.Pages, err
	}
	select {
	case <-ctx.Done():
		return pages{}, err
	case <-time.After(wait):
	}
	e, _, err = c.once(ctx, method, path, body, result)
	return e.Pages, err
}

type envelope struct {
	Success bool            `json:"success"`
	Errors  []problem       `json:"errors"`
	Result  json.RawMessage `json:"result"`
	Pages   pages           `json:"result_info"`
}

// pages is how much there is in all.
type pages struct {
	Total int `json:"total_count"`
}

type problem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (c client) once(ctx context.Context, method, path string, body, result any) (e envelope, wait time.Duration, err error) {
	token, err := c.token()
	if err != nil {
		return e, 0, err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return e, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(raw))
	if err != nil {
		return e, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := transport.Do(req)
	if err != nil {
		return e, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 when it does not say
		return e, time.Duration(seconds) * time.Second, errors.New("the API's rate limit is reached")
	}
	raw, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return e, 0, err
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, 0, fmt.Errorf("the API answers %s, and not as it should", resp.Status)
	}
	if !e.Success || resp.StatusCode/100 != 2 {
		return e, 0, fmt.Errorf("the API answers %s%s", resp.Status, described(e.Errors))
	}
	if result == nil {
		return e, 0, nil
	}
	return e, 0, json.Unmarshal(e.Result, result)
}

func described(problems []problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, ": %s (%d)", p.Message, p.Code)
	}
	return b.String()
}
