package probe

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is the name of the program that listens on a TCP port of this machine,
// as far as /proc tells us; empty when it does not.
func Holder(host string, port int) string { return holder(host, port) }

// holder is the name of the program that listens on a TCP port, as far as /proc
// tells us; empty when it does not.
func holder(host string, port int) string {
	inode := listening(host, port)
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

// listening is the inode of a socket that listens there, or on the port of all
// addresses.
func listening(host string, port int) string {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		inode := ""
		for rows := bufio.NewScanner(f); rows.Scan() && inode == ""; {
			inode = inodeOf(rows.Text(), host, port)
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
func inodeOf(row, host string, port int) string {
	fields := strings.Fields(row)
	if len(fields) < 10 || fields[3] != "0A" {
		return ""
	}
	at, number, _ := strings.Cut(fields[1], ":")
	if n, err := strconv.ParseInt(number, 16, 32); err != nil || int(n) != port || !covers(at, host) {
		return ""
	}
	return fields[9]
}

// covers says that a socket bound to that address of the kernel's table, 32-bit
// words in the machine's order, keeps others from listening on the host's.
func covers(at, host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil || strings.Trim(at, "0") == "" {
		return true
	}
	raw, err := hex.DecodeString(at)
	if err != nil {
		return false
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	bound, ok := netip.AddrFromSlice(raw)
	return ok && bound.Unmap() == ip.Unmap()
}
