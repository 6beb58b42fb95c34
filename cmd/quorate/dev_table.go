package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/quorate/quorate/internal/control"
)

// devTable shows the cluster: on a terminal a live table, elsewhere a line for
// each change.
type devTable struct {
	last   map[string]string
	pasted bool
	client http.Client
}

func (t *devTable) show(ctx context.Context, out io.Writer, s devState) {
	st, ok := t.ask(ctx, s)
	if f, isFile := out.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(out, "\x1b[H\x1b[2J")
		if !ok {
			fmt.Fprintln(out, "starting …")
			return
		}
		printStatus(out, st)
		fmt.Fprintf(out, "\nTry:  %s\n", pasteLine(s))
		fmt.Fprintf(out, "Break it, from another terminal:  quorate dev kill|wipe|lose|add NODE --dir %s\nCtrl-C stops all and leaves the data.\n", s.dir)
		return
	}
	if ok {
		t.lines(out, s, st)
	}
}

func pasteLine(s devState) string {
	var eps []string
	for _, n := range s.Nodes {
		if !n.Lost {
			eps = append(eps, fmt.Sprintf("127.0.0.1:%d", n.Client))
		}
	}
	return "etcdctl --endpoints=" + strings.Join(eps, ",") + " put hello world"
}

// ask takes the first answer with a leader, else any.
func (t *devTable) ask(ctx context.Context, s devState) (best control.Status, ok bool) {
	for _, n := range s.Nodes {
		if n.Lost {
			continue
		}
		call, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		st, err := control.NewClient(fmt.Sprintf("http://127.0.0.1:%d", n.Client-1), &t.client).Status(call)
		cancel()
		if err != nil {
			continue
		}
		if !ok || st.State != control.NoQuorum {
			best, ok = st, true
		}
		if st.State != control.NoQuorum {
			break
		}
	}
	return best, ok
}

func (t *devTable) lines(out io.Writer, s devState, st control.Status) {
	if t.last == nil {
		t.last = map[string]string{}
	}
	say := func(key, text string) {
		if t.last[key] != text {
			t.last[key] = text
			fmt.Fprintf(out, "%s %s\n", time.Now().Format("15:04:05.0"), text)
		}
	}
	for _, n := range st.Nodes { // a wiped node is there twice: its old member, and the newcomer
		say(n.Name+" "+n.MemberID.String(), fmt.Sprintf("%-8s %-8s %-9s %s", n.Name, n.Role, n.Health, n.Doing))
	}
	say("", strings.TrimSuffix(fmt.Sprintf("cluster  %s: %s", st.State, st.Reason), ": "))
	if st.State == control.Healthy && !t.pasted {
		t.pasted = true
		fmt.Fprintln(out, "try: ", pasteLine(s))
	}
}
