package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
)

// TestBackupPastSilentAgent: where the first agent is silent, the next is asked for
// the backup after one request's time limit, not after that of a backup.
func TestBackupPastSilentAgent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_ = json.NewEncoder(w).Encode(cluster.Backup{Key: "backups/taken.json", By: "b"})
			return
		}
		_ = json.NewEncoder(w).Encode(cluster.Report{Name: "b"})
	}))
	defer answers.Close()
	port := func(a net.Addr) string { _, port, _ := net.SplitHostPort(a.String()); return port }
	list := filepath.Join(t.TempDir(), "peers.yaml")
	must(t, os.WriteFile(list, []byte("- {name: a, host: 127.0.0.1, agent_port: "+port(silent.Addr())+", client_port: 1, peer_port: 2}\n"+
		"- {name: b, host: 127.0.0.1, agent_port: "+port(answers.Listener.Addr())+", client_port: 3, peer_port: 4}\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	c := backupCreate{Target: config.Target{Peers: "file://" + list, Timeout: time.Second, AgentPort: 2378}, Output: "table"}
	if err := c.Run(ctx, &out); err != nil || !strings.Contains(out.String(), "backups/taken.json") {
		t.Errorf("%v: %s", err, out.String())
	}
}
