package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/child"
)

const (
	// lookEvery is the pace of asking the private etcd whether it serves.
	lookEvery = 20 * time.Millisecond
	// stopGrace is what it gets between SIGTERM and SIGKILL.
	stopGrace = 30 * time.Second
	logTail   = 2 << 10
)

// replay runs etcd alone on a data directory until it has applied its whole
// log, and stops it. It listens on unix sockets in a directory of our own: no
// old member and no client can reach it, and no port can be taken. There is no
// time limit but ctx, because a long log takes long. The process has ended
// when replay returns.
func replay(ctx context.Context, etcd []string, dataDir, logFile string) error {
	return privately(ctx, etcd, aloneFlags(dataDir), logFile, func(p process, at string) error {
		client := overSocket(socket(at, clientURL))
		return p.until(ctx, "it served", func() bool { return serves(ctx, client) })
	})
}

// What a private etcd listens at: sockets in its working directory. Up to 3.6
// etcd wants a host and a port even there.
const (
	clientURL  = "unix://localhost:1"
	peerURL    = "unix://localhost:2"
	metricsURL = "unix://localhost:3"
)

// socket is a URL's file in the directory.
func socket(dir, url string) string { return filepath.Join(dir, strings.TrimPrefix(url, "unix://")) }

// privately runs etcd in a directory of its own for sockets, which done is told,
// until that returns, and stops it.
func privately(ctx context.Context, etcd, flags []string, logFile string, done func(p process, sockets string) error) error {
	sockets, err := os.MkdirTemp("", "quorate-") // short: a socket's path has some 100 bytes
	if err != nil {
		return err
	}
	defer os.RemoveAll(sockets)
	log, err := os.OpenFile(logFile, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := exec.Command(etcd[0], append(etcd[1:len(etcd):len(etcd)], flags...)...)
	cmd.Env = withoutEtcd(os.Environ())
	cmd.Dir = sockets
	cmd.Stdout, cmd.Stderr = log, log
	started, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("starting a private etcd: %w", err)
	}
	p := process{started}
	err = done(p, sockets)
	if stopErr := p.stop(ctx); err == nil && stopErr != nil {
		err = fmt.Errorf("stopping it: %w", stopErr)
	}
	if err != nil {
		return fmt.Errorf("replaying the log in a private etcd: %w%s", err, tailOf(log))
	}
	return nil
}

// aloneFlags are understood by every etcd since 3.5. The short election spares
// a second, for there is nobody to elect but itself. A quota would raise an
// alarm that outlives the seed, so there is none.
func aloneFlags(dataDir string) []string {
	return []string{
		"--name=seed",
		"--data-dir=" + dataDir,
		"--force-new-cluster",
		"--listen-client-urls=" + clientURL,
		"--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=seed=" + peerURL,
		"--heartbeat-interval=10",
		"--election-timeout=100",
		"--quota-backend-bytes=-1",
		"--log-level=warn",
	}
}

// withoutEtcd drops etcd's own variables: one that doubles a flag is fatal, and
// any other would be a setting that nobody meant for this process.
func withoutEtcd(env []string) (kept []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, "ETCD_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// process is a private etcd.
type process struct{ *child.Process }

// overSocket is a client of what listens there.
func overSocket(socket string) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
}

// until waits for it to be so, or for its end.
func (p process) until(ctx context.Context, what string, so func() bool) error {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-p.Ended():
			return fmt.Errorf("it ended: %w", errors.Join(p.Wait(), errors.New("before "+what)))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// serves is a linearizable read, which etcd answers only when it has applied
// everything committed before. Users and alarms do not stop it.
func serves(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/health?exclude=NOSPACE&exclude=CORRUPT", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte(`"health":"true"`))
}

// stop asks it to end, and makes it end: at once when nobody wants the result
// any more.
func (p process) stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.Ended():
	case <-grace.C:
	case <-ctx.Done():
	}
	p.Kill() // nothing, if it has ended
	return endedBy(p.State(), syscall.SIGTERM)
}

// endedBy is content with a clean exit and with the end that we asked for:
// etcd, having closed its database, sends the signal to itself again.
func endedBy(state *os.ProcessState, sig syscall.Signal) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	if state.Success() || ok && status.Signaled() && status.Signal() == sig {
		return nil
	}
	return fmt.Errorf("it ended with %v", state)
}

// tailOf is the end of etcd's own words, for the error.
func tailOf(log *os.File) string {
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return ""
	}
	b := make([]byte, min(size, logTail))
	n, err := log.ReadAt(b, size-int64(len(b)))
	if err != nil {
		return ""
	}
	return "; etcd said: " + strings.TrimSpace(string(b[:n]))
}
