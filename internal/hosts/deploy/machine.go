// Package deploy puts quorate on hosts that can only be reached by SSH, changes
// it there in turn, and takes it away. What is to be done is decided by
// internal/hosts; here it is done, and undone when it fails.
//
// On a host everything of ours is below /opt/quorate: bin/SHA256 are the
// programs, releases/ID one version each of program, configuration, service and
// secrets, and the link current says which of them is in force. So a change is
// one link, and so is the way back. A crash at any point leaves a whole release
// in force; running deploy again goes on from there.
package deploy

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/ssh"
)

// Machine runs programs on one host. Exec runs one to its end, with in as its
// standard input and out as its output; the words reach it as they are. Its
// error ends with what the program said. It ends with its context, the program
// perhaps later. Safe for concurrent use.
type Machine interface {
	Exec(ctx context.Context, in io.Reader, out io.Writer, words ...string) error
}

// Node is one host of a deployment, and what this run knows of it and has done
// to it.
type Node struct {
	hosts.Host
	Machine Machine
	Release Release // what is to run there

	become []string // words that make a program root's; nil for root
	looked hosts.Looked
	staged bool // this run has put the binary there
	placed bool // this run has put the release there
	turned bool // this run has switched to it
	began  bool // this run has started the service, or started it anew
}

//go:embed script/*.sh
var scripts embed.FS

// scriptLimit bounds one script: an etcd may take minutes to stop.
const scriptLimit = 5 * time.Minute

// script runs a script of ours as root. It travels through standard input, so
// nothing of it is in an argument; its function main runs only when all of it
// has arrived. Variables are quoted. One that changes something is not broken
// off: on the host it would go on, beside what undoes it.
func (n *Node) script(ctx context.Context, name, before string, variables ...[2]string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if name != "look" {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, scriptLimit)
	defer cancel()
	body, err := scripts.ReadFile("script/" + name + ".sh")
	if err != nil {
		return "", err
	}
	var text, out bytes.Buffer
	text.WriteString("export LC_ALL=C PATH=\"$PATH:/usr/local/sbin:/usr/sbin:/sbin\"\n")
	for _, v := range variables {
		fmt.Fprintf(&text, "%s=%s\n", v[0], ssh.Quote(v[1]))
	}
	text.WriteString(before)
	text.Write(body)
	text.WriteString("main </dev/null\n")
	if err := n.exec(ctx, &text, &out, "sh", "-s"); err != nil {
		return out.String(), err
	}
	return out.String(), nil
}

// exec is Machine's, as root.
func (n *Node) exec(ctx context.Context, in io.Reader, out io.Writer, words ...string) error {
	return n.Machine.Exec(ctx, in, out, append(append([]string{}, n.become...), words...)...)
}

// files is the function of a script that writes these files below its first
// argument.
func files(all map[string][]byte, order []string) string {
	var b strings.Builder
	b.WriteString("files() {\n")
	for _, name := range order {
		fmt.Fprintf(&b, "base64 -d >\"$1\"/%s <<'EOF'\n%s\nEOF\n", ssh.Quote(name), base64.StdEncoding.EncodeToString(all[name]))
	}
	b.WriteString("}\n")
	return b.String()
}

// each does something to all nodes at once; every error begins with its host.
func each(ctx context.Context, nodes []*Node, do func(context.Context, *Node) error) error {
	errs := make([]error, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		wait.Go(func() {
			if err := do(ctx, n); err != nil {
				errs[i] = fmt.Errorf("%s: %w", n.Name, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
