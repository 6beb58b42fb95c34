package backup

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// The newest log may be that of a member that was removed while a quorum still
// lived. Its own etcd ends at each start; its disk seeds a cluster all the same.
func TestSeedFromARemovedMember(t *testing.T) {
	old := []*node{newNode(t, "x", "127.0.0.96"), newNode(t, "y", "127.0.0.97")}
	for _, n := range old {
		n.start(t, "--initial-cluster="+initialCluster(old...), "--initial-cluster-token=old")
	}
	removed := old[0]
	c := removed.connect(t)
	awaitServing(t, c)
	if _, err := c.Put(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	state, err := c.Status(t.Context(), removed.client)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the removal", func(ctx context.Context) error {
		select {
		case <-removed.ended: // at its removal, perhaps before it answered
			return nil
		default:
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := c.MemberRemove(ctx, state.Header.MemberId)
		return err
	})
	select {
	case <-removed.ended:
	case <-time.After(time.Minute):
		t.Fatal("a removed member runs on")
	}
	before := tree(t, removed.dir)

	founder := newNode(t, "a", "127.0.0.98")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = SeedFromSurvivor(ctx, Survivor{Etcd: etcdCommand(t), DataDir: removed.dir,
		Scratch: filepath.Join(t.TempDir(), "scratch"), Target: founder.target([]*node{founder})})
	if err != nil {
		t.Fatal(err)
	}
	if tree(t, removed.dir) != before {
		t.Error("the survivor's disk was changed")
	}
	founder.start(t)
	fresh := founder.connect(t)
	awaitServing(t, fresh)
	if r, err := fresh.Get(t.Context(), "key"); err != nil || len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "value" {
		t.Errorf("the seed holds %v, %v", r, err)
	}
}
