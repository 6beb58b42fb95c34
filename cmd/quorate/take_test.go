package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/config"
)

// TestTakeBackupEnds: when the agent has gone, so does the process that takes its
// backup, though etcd says nothing; it leaves nothing in the store.
func TestTakeBackupEnds(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	dir := t.TempDir()
	job, err := json.Marshal(takeJob{Stored: config.Stored{Store: "file://" + dir, Cluster: "test"},
		Endpoint: "http://" + silent.Addr().String(), Meta: backup.Meta{Cluster: "test", Epoch: 1, By: "a", Now: time.Now()}})
	must(t, err)
	in, hold, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(program, takeSubcommand)
	var errOut bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &errOut
	must(t, cmd.Start())
	in.Close()
	_, err = hold.Write(job)
	must(t, err)
	c, err := silent.Accept() // it has asked etcd
	must(t, err)
	defer c.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait for etcd: %v: %s", err, errOut.String())
	default:
	}
	hold.Close() // as the agent's death does
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(errOut.String(), "asking etcd for its status") {
			t.Errorf("it ended with %v: %s", err, errOut.String())
		}
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("it goes on without its agent")
	}
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("it left %s", name)
		}
		return err
	})
	must(t, err)
}
