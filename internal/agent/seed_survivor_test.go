package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	etcdversion "go.etcd.io/etcd/api/v3/version"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// TestSeedFromSurvivorEnds: an etcd that hangs over the survivor's log is not waited
// for when the agent is to end, or when a newer charter comes; the survivor's own
// data is there as it was.
func TestSeedFromSurvivorEnds(t *testing.T) {
	r := newRig(t)
	r.settings.Size = 1
	n := r.add("a", "127.0.2.31")
	r.writePeers("a")
	n.start()
	r.wait("a votes", 30*time.Second, r.allReady("a"))
	n.halt()
	hangs := filepath.Join(r.dir, "hangs")
	begun := filepath.Join(r.dir, "begun")
	script := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *\" --version \"*) echo etcd Version: %s; exit 0;; esac\n: > %s\nexec sleep 600\n", etcdversion.Version, begun)
	if err := os.WriteFile(hangs, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	a := r.agentOf("a", n.host, io.Discard)
	defer a.lockFile.Close()
	var err error
	if a.parts.Offers, err = etcd.OpenOffers(t.Context(), hangs, r.dir, nil); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(stop chan struct{}, b *storeBook){
		"the agent ends":  func(stop chan struct{}, _ *storeBook) { close(stop) },
		"a newer charter": func(_ chan struct{}, b *storeBook) { b.setCharter(cluster.Charter{Epoch: 3}) },
	} {
		t.Run(name, func(t *testing.T) {
			b, stop := newStoreBook(a.parts.Store, a), make(chan struct{})
			b.setCharter(cluster.Charter{Epoch: 2})
			a.book, a.stopping = b, stop
			done := make(chan error, 1)
			go func() {
				o := plan.Observation{Disk: etcd.ReadDisk(a.opt.DataDir, a.opt.Etcd.DataDir)}
				done <- a.seedFromSurvivor(t.Context(), o, cluster.Charter{Epoch: 2, Founders: []cluster.Founder{{Name: "a", PeerURL: a.peerURL()}}})
			}()
			r.wait("etcd hangs over the log", 20*time.Second, func() bool {
				select {
				case err := <-done:
					t.Fatalf("it has ended: %v", err)
				default:
				}
				return os.Remove(begun) == nil
			})
			end(stop, b)
			select {
			case err := <-done:
				if err == nil {
					t.Error("a seed has been made")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it is still waited for")
			}
			if _, err := os.Stat(stagedDir(a.opt.DataDir, 2)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something is staged: %v", err)
			}
			if d := etcd.ReadDisk(a.opt.DataDir, a.opt.Etcd.DataDir); d.State != cluster.DiskData {
				t.Errorf("the survivor's disk is %q: %s", d.State, d.Detail)
			}
		})
	}
}
