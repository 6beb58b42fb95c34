package ssh

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// What a person can do something about.
var (
	// ErrUnknownKey: nobody has said that this host's key is its own.
	ErrUnknownKey = errors.New("the host's key is not in known_hosts")
	// ErrChangedKey: it is another key than the one noted. Never accepted.
	ErrChangedKey = errors.New("the host's key is not the one in known_hosts")
	// ErrDenied: the host knows none of our keys.
	ErrDenied = errors.New("the host does not let us in")
	// ErrLost: the connection broke; what ran may have been done or not.
	ErrLost = errors.New("the connection is lost")
)

// explained is an error for what ssh said when it could not connect.
func explained(said string) error {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := lines[len(lines)-1]
	if strings.HasPrefix(last, "kex_exchange_identification:") || strings.HasPrefix(last, "Connection closed by") {
		last = strings.TrimSpace(lines[0]) // a bastion's client has said why, before
	}
	switch {
	case strings.Contains(said, "IDENTIFICATION HAS CHANGED"), strings.Contains(said, "HOST KEY HAS CHANGED"), strings.Contains(said, "REVOKED HOST KEY"):
		return fmt.Errorf("%w: it is another machine, or somebody in between; once you know which, remove the old key with ssh-keygen -R", ErrChangedKey)
	case strings.Contains(said, "host key is known for"), strings.Contains(said, "Host key verification failed"):
		return fmt.Errorf("%w: connect once by hand, or give --accept-new", ErrUnknownKey)
	case strings.Contains(said, "Permission denied"), strings.Contains(said, "Too many authentication failures"):
		return fmt.Errorf("%w: %s (--user, --identity, or an agent)", ErrDenied, last)
	case last == "":
		return errors.New("ssh ended without a word")
	}
	return errors.New(last)
}

// tailBytes is how much of what a program said is kept: its end.
const tailBytes = 4096

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
