package child

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel kill the command when this process dies, and keeps
// a Ctrl-C at the terminal from reaching it past us.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
