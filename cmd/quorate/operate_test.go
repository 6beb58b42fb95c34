package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/control"
)

// TestOperate is a cluster's life from the command line: status, explain,
// pause, resume and leave, by --agent, by --peers and from the environment.
func TestOperate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.eventually(10*time.Second, "the keeper has heard that all are well", func() error {
		s, err := a.status()
		if err == nil && s.State != control.Healthy {
			err = errors.New(s.Reason)
		}
		return err
	})

	t.Run("status", func(t *testing.T) { r.statusOfHealthy(t, a) })
	t.Run("api", func(t *testing.T) { r.apiOfHealthy(t, a) })
	t.Run("explain", func(t *testing.T) {
		out := r.does(append([]string{"explain"}, a.args()...)...)
		if !strings.Contains(out, "found a new cluster") || !strings.Contains(out, "charter 1 exists") {
			t.Errorf("no alternatives in\n%s", out)
		}
		e := parsed[struct {
			Line         string            `json:"line"`
			Alternatives []json.RawMessage `json:"alternatives"`
		}](t, r.does(append([]string{"explain", "-o", "json"}, a.args()...)...))
		if e.Line == "" || len(e.Alternatives) < 3 {
			t.Errorf("explains %+v", e)
		}
	})
	t.Run("pause", func(t *testing.T) { r.pausing(a, b, c) })
	t.Run("recover while a quorum lives", func(t *testing.T) {
		for _, word := range [][]string{{"--empty"}, {"--lost", "c"}} {
			args := append([]string{"recover", b.agentFlag(), "--yes", "--reason", "no reason"}, word...)
			if _, errOut, code := r.quorate(args...); code == 0 || !strings.Contains(errOut, "a quorum lives") {
				t.Errorf("recover %v: exit code %d, %s", word, code, errOut)
			}
		}
	})
	t.Run("leave", func(t *testing.T) {
		left, rest := c, []string{"a", "b"}
		if _, errOut, code := r.quorate("leave", left.agentFlag()); code != 2 || !strings.Contains(errOut, "not confirmed") {
			t.Errorf("leave without an answer: exit code %d, %s", code, errOut)
		}
		left.leavesSlowly()
		r.voters(30*time.Second, rest...)
		left.says(20*time.Second, "this node has left the cluster")
		out, _, code := r.quorate("status", "--peers", "a="+a.addr+",b="+b.addr)
		if code != 1 || !strings.Contains(out, "degraded: 2 voters of 3 wanted") {
			t.Errorf("status with two of three: exit code %d\n%s", code, out)
		}
		r.does("leave", left.agentFlag(), "--undo")
		r.voters(40*time.Second, "a", "b", "c")
	})
	t.Run("no quorum", func(t *testing.T) {
		b.crash()
		c.crash()
		r.eventually(20*time.Second, "status says so", func() error {
			out, _, code := r.quorate("status", a.agentFlag())
			if code != 2 || !strings.Contains(out, "no quorum") {
				return fmt.Errorf("exit code %d\n%s", code, out)
			}
			return nil
		})
		resp, err := http.Get(a.url(2378) + "/readyz")
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/readyz without a quorum: %s", resp.Status)
		}
	})
}

func (r *rig) statusOfHealthy(t *testing.T, a *host) {
	out := r.does("status", a.agentFlag())
	for _, want := range []string{"cluster test  healthy", "epoch 1  voters 3/3 healthy  can lose 1", "no backup", "NODE", "leader"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	s := parsed[control.Status](t, r.does("status", "--peers", "file://"+r.peersFile(), "-o", "json"))
	if s.State != control.Healthy || s.Voters != 3 || s.Tolerance != 1 || s.Epoch != 1 || s.Leader == "" || len(s.Nodes) != 3 {
		t.Errorf("status %+v", s)
	}
	for _, n := range s.Nodes {
		if n.Health != "healthy" || n.Etcd == "" || n.DBSize == 0 || n.Doing == "" || n.PID == 0 {
			t.Errorf("node %+v", n)
		}
	}
	cmd := exec.Command(program, "status")
	cmd.Env = append(os.Environ(), "QUORATE_AGENT="+a.addr+":2378")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("status by QUORATE_AGENT: %v: %s", err, out)
	}
}

// apiOfHealthy looks at the agent port as a load balancer and Prometheus do.
func (r *rig) apiOfHealthy(t *testing.T, a *host) {
	get := func(path string) (int, string) {
		resp, err := http.Get(a.url(2378) + path)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/v1/report", "/v1/status", "/v1/explain"} {
		if code, body := get(path); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := get("/v1/nothing"); code != http.StatusNotFound || parsed[control.Error](t, body).Message == "" {
		t.Errorf("an unknown path: %d %s", code, body)
	}
	resp, err := http.Post(a.url(2378)+"/v1/pause", "application/json", strings.NewReader("{"))
	must(t, err)
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || parsed[control.Error](t, string(body)).Message == "" {
		t.Errorf("half a request: %s %s", resp.Status, body)
	}
	_, metrics := get("/metrics")
	for _, name := range []string{"decisions_total{", "epoch 1", "voters 3", "failure_tolerance 1", "etcd_restarts 0", "backup_age_seconds -1", "store_errors_total", "round_seconds_count", "ready 1"} {
		if !strings.Contains(metrics, "quorate_"+name) {
			t.Errorf("no metric quorate_%s", name)
		}
	}
}

// pausing: while housekeeping is paused a machine that is gone stays a member;
// afterwards, or when the pause expires, it is removed.
func (r *rig) pausing(a, b, c *host) {
	t := r.t
	t.Helper()
	if _, errOut, code := r.quorate("pause", a.agentFlag(), "--for", "1000h", "--reason", "x"); code != 2 || !strings.Contains(errOut, "for: 1000h0m0s: want a time") {
		t.Errorf("a pause without an end: exit code %d, %s", code, errOut)
	}
	r.does("pause", b.agentFlag(), "--for", "1h", "--reason", "a new switch")
	keeper := r.leader("a", "b", "c")
	keeper.says(20*time.Second, "housekeeping is paused")
	r.eventually(10*time.Second, "status shows the pause", func() error {
		if out := r.does("status", a.agentFlag()); !strings.Contains(out, "paused until") || !strings.Contains(out, "a new switch") {
			return errors.New(out)
		}
		return nil
	})
	gone, rest := c, []string{"a", "b"}
	if keeper == c {
		gone, rest = b, []string{"a", "c"}
	}
	gone.crash()
	r.list(rest...)
	keeper.holds(20*time.Second, "housekeeping is paused", 10)
	if _, there := r.members(r.client(rest...))[gone.name]; !there {
		t.Errorf("%s was removed during a pause", gone.name)
	}
	r.does("resume", keeper.agentFlag())
	if _, errOut, code := r.quorate("resume", keeper.agentFlag()); code != 1 || !strings.Contains(errOut, "not paused") {
		t.Errorf("a second resume: exit code %d, %s", code, errOut)
	}
	r.voters(40*time.Second, rest...)
	r.does("pause", keeper.agentFlag(), "--for", "3s", "--reason", "a short one")
	keeper.says(10*time.Second, "housekeeping is paused")
	r.list("a", "b", "c")
	gone.start() // wanted back, and let in when the pause has expired
	r.voters(60*time.Second, "a", "b", "c")
}

// tree is every file below a directory, with its size and time.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && !info.IsDir() {
			out[path] = fmt.Sprint(info.Size(), info.ModTime())
		} else if err == nil {
			out[path] = "directory"
		}
		return err
	}))
	return out
}

// leavesSlowly: who reads the question for longer than a request may take is
// asked once, and heard.
func (h *host) leavesSlowly() {
	h.r.t.Helper()
	cmd := exec.Command(program, "leave", h.agentFlag(), "--timeout", "1s")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	answer, err := cmd.StdinPipe()
	must(h.r.t, err)
	must(h.r.t, cmd.Start())
	began := time.Now()
	h.r.eventually(10*time.Second, "a request's time is over", func() error {
		if time.Since(began) < 2*time.Second {
			return errors.New("not yet")
		}
		return nil
	})
	_, err = io.WriteString(answer, "y\n")
	if err = errors.Join(err, cmd.Wait()); err != nil || strings.Count(out.String(), "for good?") != 1 {
		h.r.t.Errorf("a late yes: %v\n%s", err, out.String())
	}
}
