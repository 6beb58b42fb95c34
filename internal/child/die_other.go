//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// dieWithUs cannot be had here: a crash of this process leaves the
// child running, on scratch data.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
