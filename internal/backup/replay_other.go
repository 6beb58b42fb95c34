//go:build !linux

package backup

import (
	"os/exec"
	"syscall"
)

// dieWithUs cannot be had here: a crash of this process leaves the private
// etcd running, unreachable, on a scratch copy.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
