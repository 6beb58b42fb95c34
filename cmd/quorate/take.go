package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/background"
	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/etcd"
)

const (
	// takeSubcommand is how the agent starts the process that takes a backup. It
	// is nothing for people, who have `quorate backup create`.
	takeSubcommand = "take-backup"
	// takeMemory is what Go is to hold of it, in bytes; the rest of the 64 MiB are
	// pages of the program file.
	takeMemory = 24 << 20
	// worthYielding is the smallest database whose backup yields to etcd and its
	// clients: one of less takes a quarter of a second.
	worthYielding = 64 << 20
	// takeGrace is what it gets to take away what it has begun to upload.
	takeGrace = 20 * time.Second
)

// takeJob is what that process reads, on its standard input, which others cannot
// read: there are secrets in it. When the input ends, so does the work: the agent
// has gone.
type takeJob struct {
	Stored   config.Stored
	Endpoint string
	TLS      etcd.TLSFiles
	Auth     etcd.Credentials
	DB       string // the member's database file
	Meta     backup.Meta
}

// taken is what it prints.
type taken struct {
	Backup   cluster.Backup
	Resident int64 // bytes, at most; 0: unknown
}

// taker takes backups in a process that gets what etcd and its clients leave of
// processors and disk: goroutines that a yielding one starts would not yield, and
// one that waits for a processor would hold up the agent.
func taker(c config.Config, files etcd.TLSFiles, auth etcd.Credentials, log *slog.Logger) agent.Taker {
	if strings.HasPrefix(c.Store, "mem:") {
		return nil // another process would have a store of its own
	}
	return func(ctx context.Context, endpoint string, meta backup.Meta) (cluster.Backup, error) {
		done, err := inProcess(ctx, takeJob{Stored: config.Stored{Store: c.Store, Cluster: c.Cluster, Sealing: c.Sealing}, Endpoint: endpoint,
			TLS: files, Auth: auth, DB: filepath.Join(c.EtcdDataDir, "member", "snap", "db"), Meta: meta})
		if err == nil {
			log.Debug("the backup's process has ended", "resident_bytes", done.Resident)
		}
		return done.Backup, err
	}
}

func inProcess(ctx context.Context, job takeJob) (done taken, err error) {
	self, err := os.Executable()
	if err != nil {
		return done, err
	}
	what, err := json.Marshal(job)
	if err != nil {
		return done, err
	}
	in, hold, err := os.Pipe()
	if err != nil {
		return done, err
	}
	defer in.Close()
	defer hold.Close()
	cmd := exec.CommandContext(ctx, self, takeSubcommand)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = takeGrace
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errOut
	go hold.Write(append(what, '\n')) // ends with hold's Close at the latest
	if err := cmd.Run(); err != nil {
		return done, fmt.Errorf("taking a backup: %w: %s", errors.Join(context.Cause(ctx), err), strings.TrimSpace(errOut.String()))
	}
	return done, json.Unmarshal(out.Bytes(), &done)
}

// takeBackup is that process.
func takeBackup(ctx context.Context, in io.Reader, to streams) error {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(takeMemory)
	dropProgramPages() // what the start has touched
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var job takeJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("reading what to take: %w", err)
	}
	go trim(ctx)
	go func() { // left behind in a read that the process's end ends
		_, _ = io.Copy(io.Discard, in)
		cancel(errors.New("the agent has gone"))
	}()
	st, err := openStored(ctx, job.Stored)
	if err != nil {
		return err
	}
	defer st.Close()
	c := etcd.Dial(job.Endpoint, job.TLS, job.Auth)
	defer c.Close()
	if s, err := c.Status(ctx); err == nil && s.DBSize >= worthYielding {
		background.Yield()
	}
	b, err := backup.Take(ctx, backup.Beside(c, job.DB), st.sealed, job.Meta)
	if err != nil {
		return err
	}
	return json.NewEncoder(to.out).Encode(taken{b, mostResident()})
}

// mostResident is what this process has held at most, in bytes; 0 where the
// kernel does not tell.
func mostResident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
