package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// trim gives memory back, often at first and then now and then: the agent shares its machine with etcd.
// Most of what a start has touched is the program file itself, with etcd and
// four clouds in it, and is not needed again; those pages stay in the page cache
// (etcd runs from the same file) and come back when they are used.
func trim(ctx context.Context) {
	for pause := 4 * time.Second; ; pause = min(2*pause, 10*time.Minute) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			debug.FreeOSMemory()
			dropProgramPages()
		}
	}
}

// dropProgramPages unmaps the read-only pages of our own program file.
func dropProgramPages() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		var mode string
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasSuffix(line, " "+exe) {
			continue
		}
		if strings.HasPrefix(mode, "r") && !strings.Contains(mode, "w") {
			// Refused is harmless: then the pages stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
