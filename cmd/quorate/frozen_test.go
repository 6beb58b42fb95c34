package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestFrozenAgents freezes, as kill -STOP does, who takes a backup, who has it
// taken, and who orders rolls: what people ask for meanwhile is done by others, or
// fails soon and says whose silence it is.
func TestFrozenAgents(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--dead-after", "1h")
	r.trio()
	for _, h := range r.nodes {
		h.start()
	}
	names := []string{"a", "b", "c"}
	r.voters(time.Minute, names...)
	keeper, others := r.led(names...)
	backup := func(at *host) cluster.Backup {
		t.Helper()
		began := time.Now()
		out, errOut, code := r.quorate("backup", "create", at.agentFlag(), "-o", "json")
		if code != 0 {
			t.Fatalf("exit code %d after %s: %s", code, time.Since(began), errOut)
		}
		t.Logf("taken in %s", time.Since(began).Round(100*time.Millisecond))
		return parsed[cluster.Backup](t, out)
	}

	taker := r.nodes[backup(keeper).By]
	if taker == keeper {
		t.Fatal("the keeper itself takes the backup")
	}
	taker.signal(syscall.SIGSTOP)
	if b := backup(keeper); b.By == taker.name {
		t.Errorf("%s has taken it, frozen", b.By)
	}
	taker.signal(syscall.SIGCONT)
	r.voters(time.Minute, names...)

	keeper.signal(syscall.SIGSTOP)
	for range 2 { // just now, and once its report is old
		began := time.Now()
		_, errOut, code := r.quorate("roll", "--yes", others[0].agentFlag())
		said := strings.Contains(errOut, "the keeper, "+keeper.name+", does not answer, and nothing was ordered") || strings.Contains(errOut, keeper.name+" leads, and its agent is silent")
		if took := time.Since(began); code != 1 || !said || took > 20*time.Second {
			t.Errorf("exit code %d after %s, want that %s is silent: %s", code, took, keeper.name, errOut)
		}
	}
	keeper.signal(syscall.SIGCONT)
	r.voters(time.Minute, names...)

	keeper, others = r.led(names...)
	keeper.signal(syscall.SIGSTOP)
	etcd := keeper.etcdPID()
	must(t, syscall.Kill(etcd, syscall.SIGSTOP))
	if b := backup(others[0]); b.By == keeper.name {
		t.Errorf("%s has taken it, frozen", b.By)
	}
	keeper.signal(syscall.SIGCONT)
	must(t, syscall.Kill(etcd, syscall.SIGCONT))
	r.voters(time.Minute, names...)
}
