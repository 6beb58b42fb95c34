package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/tlsfiles"
)

// Target is which cluster a command talks to, and how: through any node's
// agent.
type Target struct {
	Agent   string        `env:"QUORATE_AGENT" group:"Which cluster" placeholder:"HOST:PORT" help:"The agent of any node. Default: those of --peers, else the local agent, 127.0.0.1:2378."`
	Peers   string        `env:"QUORATE_PEERS" group:"Which cluster" placeholder:"SOURCE" help:"Ask the agents of these: a=10.0.0.1,b=10.0.0.2 or file:///path, as for quorate run. --agent is stronger."`
	Timeout time.Duration `env:"QUORATE_TIMEOUT" group:"Which cluster" default:"5s" placeholder:"TIME" help:"Time limit of one request (default ${default})."`

	AgentPort int `env:"QUORATE_AGENT_PORT" group:"Which cluster" default:"2378" placeholder:"PORT" help:"The agent's port where no other is said (default ${default})."`

	CertFile      string `env:"QUORATE_CERT_FILE" group:"TLS" placeholder:"FILE" help:"PEM certificate to show to the agent."`
	KeyFile       string `env:"QUORATE_KEY_FILE" group:"TLS" placeholder:"FILE" help:"PEM key of --cert-file."`
	TrustedCAFile string `name:"trusted-ca-file" env:"QUORATE_TRUSTED_CA_FILE" group:"TLS" placeholder:"FILE" help:"PEM authorities that sign the agents' certificates; makes the connection TLS, as --cert-file does. Default: plain text."`
	ServerName    string `env:"QUORATE_SERVER_NAME" group:"TLS" placeholder:"NAME" help:"Host name or IP address to expect in the agent's certificate. Default: the one that is asked; for a local agent whose certificate lacks 127.0.0.1."`
}

// Files are the TLS files to connect with.
func (t Target) Files() tlsfiles.Files {
	return tlsfiles.Files{Cert: t.CertFile, Key: t.KeyFile, CA: t.TrustedCAFile, ServerName: t.ServerName}
}

// Validate says everything that is wrong, each problem beginning with its key.
func (t Target) Validate() []error {
	var p problems
	switch {
	case t.Agent != "":
		_, err := t.agentURL(t.Agent)
		p.add("agent", err)
	case t.Peers != "":
		p.add("peers", peers.Validate(t.Peers))
	}
	if t.Timeout <= 0 {
		p.say("timeout", "%s: want a positive time", t.Timeout)
	}
	if t.AgentPort < 1 || t.AgentPort > 65535 {
		p.say("agent-port", "%d: want 1 to 65535", t.AgentPort)
	}
	return append(p, t.Files().Validate("")...)
}

// Agents are the base URLs of the agents to ask: the one named, else those of
// the peers that are alive, else the local one. Never empty without an error.
func (t Target) Agents(ctx context.Context) ([]string, error) {
	switch {
	case t.Agent != "":
		u, err := t.agentURL(t.Agent)
		if err != nil {
			return nil, fmt.Errorf("agent: %w", err)
		}
		return []string{u}, nil
	case t.Peers == "":
		return []string{t.scheme() + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(t.AgentPort))}, nil
	}
	source, err := peers.Open(t.Peers, peers.Ports{Client: 2379, Peer: 2380, Agent: t.AgentPort})
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	view, err := source.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	var urls []string
	for _, p := range view.Peers {
		if p.Alive() {
			urls = append(urls, p.AgentURL(t.scheme()))
		}
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("peers: none of %d is alive", len(view.Peers))
	}
	return urls, nil
}

func (t Target) scheme() string {
	if t.Files().Empty() {
		return "http"
	}
	return "https"
}

// agentURL takes HOST, HOST:PORT or a URL, as people paste them.
func (t Target) agentURL(raw string) (string, error) {
	scheme, address := t.scheme(), raw
	if strings.Contains(raw, "@") {
		return "", errors.New("want HOST:PORT, without a user or a password")
	}
	if u, err := url.Parse(raw); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
			return "", fmt.Errorf("%q: want HOST:PORT", u.Redacted())
		}
		scheme, address = u.Scheme, u.Host
	}
	host, port := address, strconv.Itoa(t.AgentPort)
	if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("port %q: want 1 to 65535", port)
	}
	host, err := entry.Host(host)
	if err != nil {
		return "", err
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}
