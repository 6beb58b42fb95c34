// Package moto runs moto, an emulator of AWS that no one here wrote, for tests
// that drive the real AWS SDK: EC2, Auto Scaling, S3, SQS, Route 53 and more.
package moto

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// version is pinned: what moto lacks and gets wrong differs by release.
const version = "5.2.5"

// Start runs an emulator on a free port of 127.0.0.1, empty, until the test
// ends, and points the AWS SDK at it: the endpoint, a region and dummy
// credentials are in the environment, so the test cannot be parallel. It
// installs moto first, where no earlier test has.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	python, err := install(t.Context())
	if err != nil {
		t.Fatalf("installing moto: %v", err)
	}
	endpoint, err = serve(t, python)
	if err != nil {
		t.Fatalf("starting moto: %v", err)
	}
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL":          endpoint,
		"AWS_REGION":                "us-east-1",
		"AWS_ACCESS_KEY_ID":         "testing",
		"AWS_SECRET_ACCESS_KEY":     "testing",
		"AWS_SESSION_TOKEN":         "",
		"AWS_PROFILE":               "",
		"AWS_CONFIG_FILE":           os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
	return endpoint
}

// Bucket makes an S3 bucket at the endpoint.
func Bucket(t testing.TB, endpoint, name string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("making bucket %s: %v", name, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("making bucket %s: %s", name, resp.Status)
	}
}

// script serves until its standard input ends, which it does when the test
// process does, however that ends.
const script = `
import os, sys, threading
def wait():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=wait, daemon=True).start()
from moto.server import main
main(["-H", "127.0.0.1", "-p", "0"])
`

var running = regexp.MustCompile(`Running on (http://127\.0\.0\.1:[0-9]+)`)

func serve(t testing.TB, python string) (string, error) {
	cmd := exec.Command(python, "-c", script)
	if _, err := cmd.StdinPipe(); err != nil {
		return "", err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	said := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		drain(bufio.NewScanner(stderr), said)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait() // killed, says its error
	})
	select {
	case endpoint := <-said:
		if !strings.HasPrefix(endpoint, "http") {
			return "", fmt.Errorf("it ended: %s", endpoint)
		}
		return endpoint, nil
	case <-time.After(time.Minute):
		return "", errors.New("it names no address within a minute")
	}
}

// drain sends the address, or the last lines when there is none, and then
// reads on, so that the server never blocks on its log.
func drain(lines *bufio.Scanner, said chan<- string) {
	var last []string
	sent := false
	for lines.Scan() {
		if m := running.FindStringSubmatch(lines.Text()); m != nil && !sent {
			said <- m[1]
			sent = true
		}
		if last = append(last, lines.Text()); len(last) > 5 {
			last = last[1:]
		}
	}
	if !sent {
		said <- "last words: " + strings.Join(last, " | ")
	}
}

// install makes a virtual environment once for this user, and is the path of
// its python. Test processes that install at once wait for each other.
func install(ctx context.Context) (string, error) {
	dir, err := home()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	venv := filepath.Join(dir, version)
	python, done := filepath.Join(venv, "bin", "python"), filepath.Join(venv, "installed")
	if _, err := os.Stat(done); err == nil {
		return python, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "moto[server]==" + version},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("running %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return python, os.WriteFile(done, []byte(version+"\n"), 0o644)
}

func home() (string, error) {
	if dir := os.Getenv("QUORATE_CACHE"); dir != "" {
		return filepath.Join(dir, "moto"), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "quorate", "moto"), err
}

// lock is gone when the process is.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
