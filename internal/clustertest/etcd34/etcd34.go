// Package etcd34 runs Debian's etcd 3.4, the last with the v2 API, and Debian's
// discovery service, which no one here wrote, for tests of the v2 discovery
// protocol.
package etcd34

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/process"
)

// Start runs an etcd with the v2 API until the test ends, and is its client
// address: without flags a cluster of one. It may not answer yet.
func Start(t testing.TB, flags ...string) (addr string) {
	t.Helper()
	addr, peer := process.FreeAddr(t), process.FreeAddr(t)
	if len(flags) == 0 {
		flags = []string{"--initial-cluster", "default=http://" + peer}
	}
	process.Start(t, apt.Need(t, "/usr/bin/etcd", "etcd-server"), append([]string{"--data-dir", t.TempDir(), "--enable-v2",
		"--listen-client-urls", "http://" + addr, "--advertise-client-urls", "http://" + addr,
		"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer}, flags...)...)
	return addr
}

// Discovery runs the discovery service, on an etcd behind it, and makes a token
// of that size. The process is the service's.
func Discovery(t testing.TB, size int) (tokenURL string, service *os.Process) {
	t.Helper()
	behind := Start(t)
	Await(t, "http://"+behind+"/health")
	addr := process.FreeAddr(t)
	service = process.Start(t, apt.Need(t, "/usr/bin/discovery.etcd.io", "etcd-discovery"), "-e", "http://"+behind, "-h", "http://"+addr, "-a", addr)
	return Await(t, fmt.Sprintf("http://%s/new?size=%d", addr, size)), service
}

// Await is what a URL answers, once it answers 200.
func Await(t testing.TB, u string) string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		text, err := Get(u)
		if err == nil {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", u, err)
		}
		time.Sleep(25 * time.Millisecond) // between two looks
	}
}

// Get is what a URL answers; anything but 200 is an error.
func Get(u string) (string, error) {
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
