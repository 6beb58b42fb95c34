// Package moto runs moto, an emulator of AWS that no one here wrote, for tests
// that drive the real AWS SDK: EC2, Auto Scaling, S3, SQS, Route 53 and more.
package moto

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/pyvenv"
)

// Start runs an emulator on a free port of 127.0.0.1, empty, until the test
// ends, and points the AWS SDK at it: the endpoint, a region and dummy
// credentials are in the environment, so the test cannot be parallel. It
// installs moto first, where no earlier test has.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	bin, err := pyvenv.Install(t.Context(), "moto")
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err = serve(t, filepath.Join(bin, "python"))
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
// process does, however that ends. Route 53 takes a set that it has had before and
// has not now; moto, which looks for the same CREATE in all that was ever done, does
// not if any later name exists: what is not live it is to forget.
const script = `
import os, sys, threading
def wait():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=wait, daemon=True).start()
from moto.route53.models import Route53Backend
apply = Route53Backend.change_resource_record_sets
def change(self, zoneid, change_list):
    zone = self.get_hosted_zone(zoneid)
    key = lambda s: (s["Name"].strip("."), s["Type"])
    live = {(r.name.strip("."), r.type) for r in zone.rrsets}
    live -= {key(c["ResourceRecordSet"]) for c in change_list if c["Action"] == "DELETE"}
    for c in change_list:
        while c["Action"] == "CREATE" and key(c["ResourceRecordSet"]) not in live and c in zone.rr_changes:
            zone.rr_changes.remove(c)
    return apply(self, zoneid, change_list)
Route53Backend.change_resource_record_sets = change
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
	case <-time.After(3 * time.Minute): // it imports a great deal
		return "", errors.New("it names no address within three minutes")
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
