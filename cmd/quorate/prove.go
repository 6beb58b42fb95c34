package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/background"
	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/config"
)

const (
	// proofMemory is what the proof's own process is to do with; the etcd that it
	// starts takes what it takes.
	proofMemory = "GOMEMLIMIT=256MiB"
	// proofGrace is what it gets to end its etcd.
	proofGrace = 40 * time.Second
)

// prover runs `quorate backup verify --deep` of what is stored, in a process that
// takes what etcd leaves of processors and disk, so that nothing of it can slow
// down or bring down the agent, and which ends when the agent does.
func prover(c config.Config) agent.Prover {
	return func(ctx context.Context, compact int64) (p backup.Proof, err error) {
		self, err := os.Executable()
		if err != nil {
			return backup.Proof{}, err
		}
		args := []string{"backup", "verify", "--deep", "-o", "json", "--scratch", c.DataDir, "--compact", strconv.FormatInt(compact, 10)}
		if !c.BuiltIn() {
			args = append(args, "--etcd", c.Etcd)
		}
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.Env = proofEnviron(c, os.Environ())
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = proofGrace
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		run := background.Run
		if isSmall(filepath.Join(c.EtcdDataDir, "member", "snap", "db")) {
			run = asOthers
		}
		err = run(cmd)
		return verdictOn(out.Bytes(), err, errOut.String())
	}
}

// isSmall says that a database is known to be of those whose backup, and whose
// proof, need not yield: there is little to do.
func isSmall(db string) bool {
	info, err := os.Stat(db)
	return err == nil && info.Size() < worthYielding
}

// asOthers runs a process as any other, but for its end, which comes with ours.
func asOthers(cmd *exec.Cmd) error {
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	return p.Wait()
}

// proofEnviron gives the settings by the environment, which others cannot read.
func proofEnviron(c config.Config, environ []string) []string {
	var env []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "QUORATE_") && !strings.HasPrefix(e, "GOMEMLIMIT=") {
			env = append(env, e)
		}
	}
	for key, value := range map[string]string{
		"STORE": c.Store, "CLUSTER": c.Cluster, "BACKUP_RECIPIENT": strings.Join(c.BackupRecipient, " "),
		"BACKUP_IDENTITY_FILE": c.BackupIdentityFile, "BACKUP_KMS": c.BackupKMS, "BACKUP_SIGN_KEY_FILE": c.BackupSignKeyFile,
		"BACKUP_VERIFY_KEY_FILE": strings.Join(c.BackupVerifyKeyFile, " "),
		"BACKUP_ALLOW_UNSIGNED":  strconv.FormatBool(c.BackupAllowUnsigned),
	} {
		if value != "" {
			env = append(env, "QUORATE_"+key+"="+value)
		}
	}
	return append(env, proofMemory)
}

// verdictOn reads what the process has printed.
func verdictOn(out []byte, ran error, said string) (backup.Proof, error) {
	var all []verdict
	if err := json.Unmarshal(out, &all); err != nil || len(all) == 0 {
		return backup.Proof{}, fmt.Errorf("proving what is stored: %w: %s", errors.Join(ran, err), strings.TrimSpace(said[max(0, len(said)-1000):]))
	}
	var proof *backup.Proof
	for _, v := range all {
		switch {
		case v.NoRoom:
			return backup.Proof{}, fmt.Errorf("%w: %s", backup.ErrNoRoom, v.Problem)
		case !v.Good:
			return backup.Proof{}, fmt.Errorf("%w: %s: %s", backup.ErrDamaged, v.Key, v.Problem)
		case v.Proof != nil:
			proof = v.Proof
		}
	}
	if proof == nil || ran != nil {
		return backup.Proof{}, fmt.Errorf("proving what is stored: %w: %s", cmpErr(ran, errors.New("nothing was proven")), strings.TrimSpace(said))
	}
	return *proof, nil
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
