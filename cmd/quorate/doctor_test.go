package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/doctor"
)

// examine runs `quorate doctor` with the host's settings.
func (h *host) examine(more ...string) (fit bool, checks map[string]doctor.Check, code int) {
	h.r.t.Helper()
	var args []string
	for _, a := range h.args(more...) {
		if a == "--" {
			break
		}
		args = append(args, a)
	}
	out, errOut, code := h.r.quorate(append([]string{"doctor", "--json"}, args...)...)
	var got struct {
		Fit    bool           `json:"fit"`
		Checks []doctor.Check `json:"checks"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		h.r.t.Fatalf("%v in %s%s", err, out, errOut)
	}
	checks = map[string]doctor.Check{}
	for _, c := range got.Checks {
		checks[c.Name] = c
	}
	return got.Fit, checks, code
}

// TestDoctor: before an agent runs, a port that somebody holds is a no-go with
// his name; beside it, all is fit, the ports are ours, and the others are seen.
// It leaves nothing in the store.
func TestDoctor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	ln, err := net.Listen("tcp", a.addr+":2379")
	must(t, err)
	defer ln.Close()
	if fit, checks, code := a.examine(); fit || code != 1 || checks["port 2379 (etcd's clients)"].Verdict != doctor.NoGo ||
		!strings.Contains(checks["port 2379 (etcd's clients)"].Say, "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a port is held: fit %v, code %d, %v", fit, code, checks["port 2379 (etcd's clients)"])
	}
	ln.Close()
	_, checks, _ := a.examine()
	for name, want := range map[string]doctor.Verdict{"port 2379 (etcd's clients)": doctor.Go, "reach b": doctor.Warn, "store condition": doctor.Go, "store rights": doctor.Go, "room": checks["room"].Verdict} {
		if checks[name].Verdict != want {
			t.Errorf("before: %s: %v, want %s", name, checks[name], want)
		}
	}
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	_, checks, _ = a.examine()
	for _, name := range []string{"configuration", "port 2378 (agents)", "port 2379 (etcd's clients)", "port 2380 (etcd's members)", "reach b", "path to c", "etcd versions", "clock", "store condition", "store rights"} {
		if checks[name].Verdict != doctor.Go && !(strings.HasPrefix(name, "reach") && checks[name].Verdict == doctor.Warn) {
			t.Errorf("beside it: %s: %v", name, checks[name])
		}
	}
	if m := checks["path to c"].Measured; !strings.HasPrefix(m, "MTU 6553") {
		t.Errorf("the path on loopback: %s", m)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "store", "test", "doctor", "*")); len(left) > 0 {
		t.Errorf("left in the store: %v", left)
	}
}

// TestDoctorStore: a store below which nothing may be written is a no-go.
func TestDoctorStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, _, _ := r.trio()
	file := filepath.Join(r.dir, "plain")
	must(t, os.WriteFile(file, nil, 0o600))
	r.store = "file://" + filepath.Join(file, "below") + "?create_dir=true"
	if fit, checks, code := a.examine(); fit || code != 1 {
		t.Errorf("fit %v, code %d, %v", fit, code, checks)
	}
}
