package probe

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder is the name of the program that listens on a TCP port, as far as /proc
// tells us; empty when it does not.
func holder(port int) string {
	inode := listening(port)
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // none: nothing to tell
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(l, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// listening is the inode of a socket that listens on the port.
func listening(port int) string {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		inode := ""
		for rows := bufio.NewScanner(f); rows.Scan() && inode == ""; {
			inode = inodeOf(rows.Text(), port)
		}
		f.Close()
		if inode != "" {
			return inode
		}
	}
	return ""
}

// inodeOf reads a row of the kernel's table: number, local address, remote
// address, state (0A: it listens), and in the tenth place the inode.
func inodeOf(row string, port int) string {
	fields := strings.Fields(row)
	if len(fields) < 10 || fields[3] != "0A" {
		return ""
	}
	_, hex, _ := strings.Cut(fields[1], ":")
	if n, err := strconv.ParseInt(hex, 16, 32); err != nil || int(n) != port {
		return ""
	}
	return fields[9]
}
