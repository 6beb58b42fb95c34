package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// What the data says of its member's removal is looked at while no etcd runs
// on it, and a database that cannot be read says nothing. What etcd itself
// writes, internal/etcd's tests read.
func TestRemovedHere(t *testing.T) {
	dir := t.TempDir()
	a := newAgent(Options{DataDir: dir, Name: "a", Etcd: etcd.Config{DataDir: dir}}, Parts{Log: slog.New(slog.DiscardHandler)})
	data := func(id cluster.MemberID) plan.Observation {
		return plan.Observation{Disk: cluster.Disk{State: cluster.DiskData, MemberID: id}}
	}
	if a.removedHere(data(0xa)) {
		t.Error("removed, says a database that is not there")
	}
	file := filepath.Join(dir, "member", "snap", "db")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("members_removed"))
		if err == nil {
			err = b.Put([]byte("a"), []byte("removed"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.removedHere(data(0xa)) {
		t.Error("removed, says a database that another holds")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	running := data(0xa)
	running.Process.Running = true
	empty := data(0xa)
	empty.Disk.State = cluster.DiskEmpty
	for name, c := range map[string]struct {
		o    plan.Observation
		want bool
	}{"its own id": {data(0xa), true}, "another's": {data(0xb), false}, "while etcd runs": {running, false}, "an empty disk": {empty, false}} {
		if got := a.removedHere(c.o); got != c.want {
			t.Errorf("%s: removed %v", name, got)
		}
	}
}
