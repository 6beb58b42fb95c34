package discoveryurl

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
)

func freePort(t testing.TB) string { return freeAt(t, "127.0.0.1") }

func freeAt(t testing.TB, host string) string {
	t.Helper()
	ln, err := net.Listen("tcp", host+":0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs a program until the test ends.
func start(t testing.TB, path string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, it says its error
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s %q:\n%s", path, args, said[max(0, len(said)-3000):])
		}
	})
	return cmd
}

// startEtcd runs Debian's etcd 3.4, which still has the v2 API: without flags a
// cluster of one.
func startEtcd(t testing.TB, flags ...string) (addr string) {
	t.Helper()
	addr, peer := freePort(t), freePort(t)
	if len(flags) == 0 {
		flags = []string{"--initial-cluster", "default=http://" + peer}
	}
	start(t, apt.Need(t, "/usr/bin/etcd", "etcd-server"), append([]string{"--data-dir", t.TempDir(), "--enable-v2",
		"--listen-client-urls", "http://" + addr, "--advertise-client-urls", "http://" + addr,
		"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer}, flags...)...)
	return addr
}

// startService runs Debian's discovery service on an etcd behind it, and makes
// a token of that size.
func startService(t testing.TB, size int) (tokenURL string, cmd *exec.Cmd) {
	t.Helper()
	behind := startEtcd(t)
	eventually(t, func() error { _, err := get("http://" + behind + "/health"); return err })
	addr := freePort(t)
	cmd = start(t, apt.Need(t, "/usr/bin/discovery.etcd.io", "etcd-discovery"), "-e", "http://"+behind, "-h", "http://"+addr, "-a", addr)
	eventually(t, func() (err error) {
		tokenURL, err = get(fmt.Sprintf("http://%s/new?size=%d", addr, size))
		return err
	})
	return tokenURL, cmd
}

func get(u string) (string, error) {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(u)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// put sets a key of the v2 API.
func put(t testing.TB, u, value string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u, strings.NewReader(url.Values{"value": {value}}.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatal(resp.Status)
	}
}

// eventually waits for a condition; its last error says what was missing.
func eventually(t testing.TB, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for err := ok(); err != nil; err = ok() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Millisecond) // between two looks
	}
}
