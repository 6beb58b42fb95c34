package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/chain"
)

// journal is what clients were told: each acknowledged write and when. A key
// "ack/…" is written once; users, roles and grants go by userKey and the like.
type journal struct {
	mu     sync.Mutex
	acked  map[string]time.Time
	leases map[clientv3.LeaseID]time.Time // that outlast the test
	hashes []chain.HashKV                 // what a member said of its keys, at moments in between
	began  time.Time
	stop   context.CancelFunc
	work   sync.WaitGroup
}

func userKey(name string) string        { return "user " + name }
func roleKey(name string) string        { return "role " + name }
func deletedKey(user string) string     { return "deleted " + user }
func grantKey(user, role string) string { return "grant " + user + " " + role }

const (
	// loadWriters write at once; each perClient of them share a client.
	loadWriters = 96
	perClient   = 16
	// cheapPasswords lets etcd compare passwords fast: each change of a user or role
	// makes every client fetch a new token.
	cheapPasswords = "--etcd-flags=--bcrypt-cost=4"
)

// traffic writes everything that etcd can be asked to write, by so many writers
// at once, until it is ended; and by one more the log is compacted, and users,
// roles and their grants change.
func (r *rig) traffic(writers int, names ...string) *journal {
	ctx, stop := context.WithCancel(context.Background())
	j := &journal{acked: map[string]time.Time{}, leases: map[clientv3.LeaseID]time.Time{}, began: time.Now(), stop: stop}
	r.t.Cleanup(j.end)
	var c *clientv3.Client
	for i := range writers {
		if i%perClient == 0 {
			c = r.asRoot(names...)
		}
		w := &scribe{j: j, c: c, name: fmt.Sprintf("%d-%d", j.began.UnixNano(), i)}
		j.work.Go(func() { w.run(ctx) })
	}
	admin := r.asRoot(names...)
	j.work.Go(func() { j.administer(ctx, admin) })
	j.work.Go(func() { j.sample(ctx, admin) })
	return j
}

func (j *journal) end() { j.stop(); j.work.Wait() }

func (j *journal) ack(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked[key] = time.Now()
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.acked)
}

// rate is how many writes were acknowledged each second since the beginning.
func (j *journal) rate() float64 { return float64(j.count()) / time.Since(j.began).Seconds() }

// scribe is one of those who write.
type scribe struct {
	j     *journal
	c     *clientv3.Client
	name  string
	seen  int64            // revision of its counter, as far as it knows
	lease clientv3.LeaseID // to be revoked
}

func (w *scribe) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		key := fmt.Sprintf("ack/%s/%d", w.name, n)
		if done, err := w.write(call, key, n); err == nil && done {
			w.j.ack(key)
		}
		cancel()
	}
}

// write puts the key in one of many ways; done says that it is put.
func (w *scribe) write(ctx context.Context, key string, n int) (done bool, err error) {
	switch n % 20 {
	case 3:
		_, err = w.c.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "=", 0)).
			Then(clientv3.OpPut(key, "t"), clientv3.OpDelete("gone/"+w.name)).Commit()
	case 5, 15:
		return w.compareRevision(ctx, key)
	case 7:
		return w.leased(ctx, key, 3600)
	case 9:
		return w.leased(ctx, key, 5)
	case 11:
		if _, err = w.c.Delete(ctx, fmt.Sprintf("ack/%s/%d", w.name, n-9)); err == nil {
			_, err = w.c.Put(ctx, key, "d")
		}
	case 13:
		_, err = w.c.Txn(ctx).Then(clientv3.OpDelete("many/"+w.name, clientv3.WithPrefix()), clientv3.OpPut(key, "r"),
			clientv3.OpPut(fmt.Sprintf("many/%s/%d", w.name, n), "")).Commit()
	case 17:
		if w.lease != 0 {
			_, err = w.c.Revoke(ctx, w.lease)
			w.lease = 0
		}
		if err == nil {
			_, err = w.c.Put(ctx, key, "v")
		}
	default:
		_, err = w.c.Put(ctx, key, fmt.Sprintf("%064d", n))
	}
	return err == nil, err
}

// compareRevision puts the key only if a counter is still as this writer left
// it. A replay that counts revisions otherwise takes the other branch.
func (w *scribe) compareRevision(ctx context.Context, key string) (bool, error) {
	counter := "counter/" + w.name
	got, err := w.c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(counter), "=", w.seen)).
		Then(clientv3.OpPut(counter, key), clientv3.OpPut(key, "c")).
		Else(clientv3.OpGet(counter)).Commit()
	switch {
	case err != nil:
		return false, err
	case got.Succeeded:
		w.seen = got.Header.Revision
	default: // an answer was lost
		w.seen = 0
		if kvs := got.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			w.seen = kvs[0].ModRevision
		}
	}
	return got.Succeeded, nil
}

func (w *scribe) leased(ctx context.Context, key string, seconds int64) (bool, error) {
	l, err := w.c.Grant(ctx, seconds)
	if err == nil {
		_, err = w.c.Put(ctx, key, "l", clientv3.WithLease(l.ID))
	}
	if err != nil {
		return false, err
	}
	if seconds < 60 {
		w.lease = l.ID
		return true, nil
	}
	w.j.mu.Lock()
	w.j.leases[l.ID] = time.Now()
	w.j.mu.Unlock()
	return true, nil
}

// administer compacts, and changes a user, a role or a grant, each once a second:
// after each such change every writer needs a new token.
func (j *journal) administer(ctx context.Context, c *clientv3.Client) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		if got, err := c.Get(call, "x"); err == nil && n%2 == 0 {
			_, _ = c.Compact(call, got.Header.Revision-200)
		} else {
			j.changeAuth(call, c, fmt.Sprint(j.began.UnixNano()), n/2)
		}
		cancel()
	}
}

// changeAuth makes one change. What is left of eight of them is two users with a
// role, one of whom has another password, and one who came and went.
func (j *journal) changeAuth(ctx context.Context, c *clientv3.Client, id string, n int) {
	of := func(kind string) string { return fmt.Sprintf("%s%s-%d", kind, id, n/8) }
	user, role, gone := of("u"), of("r"), of("gone")
	var err error
	key := ""
	switch n % 8 {
	case 0:
		key = roleKey(role)
		_, err = c.RoleAdd(ctx, role)
	case 1:
		key = userKey(user)
		_, err = c.UserAdd(ctx, user, "before")
	case 2:
		key = grantKey(user, role)
		_, err = c.UserGrantRole(ctx, user, role)
	case 3:
		_, err = c.RoleGrantPermission(ctx, role, "of/"+user, clientv3.GetPrefixRangeEnd("of/"+user), clientv3.PermissionType(clientv3.PermReadWrite))
	case 4:
		key = userKey(gone)
		_, err = c.UserAdd(ctx, gone, "x")
	case 5:
		_, err = c.UserChangePassword(ctx, user, secret)
	case 6:
		_, err = c.UserGrantRole(ctx, gone, role)
	case 7:
		key = deletedKey(gone)
		_, err = c.UserDelete(ctx, gone)
	}
	if err == nil && key != "" {
		j.ack(key)
	}
}

// sample asks now and then for the hash of the keys at a revision.
func (j *journal) sample(ctx context.Context, c *clientv3.Client) {
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		endpoint := c.Endpoints()[len(c.Endpoints())-1]
		if h, err := c.HashKV(call, endpoint, 0); err == nil {
			j.mu.Lock()
			j.hashes = append(j.hashes, chain.HashKV{Revision: h.HashRevision, Compact: h.CompactRevision, Hash: h.Hash})
			j.mu.Unlock()
		}
		cancel()
	}
}

// before is what was acknowledged of one kind, by a moment.
func (j *journal) before(t time.Time, prefix string) (names []string) {
	for key, at := range j.acked {
		if name, ok := strings.CutPrefix(key, prefix); ok && at.Before(t) {
			names = append(names, name)
		}
	}
	return names
}

// wantAuth wants each user, role and grant that was acknowledged by a moment, and
// that nobody gets in without a password. It returns how many there were.
func (j *journal) wantAuth(t *testing.T, r *rig, by time.Time, names ...string) int {
	t.Helper()
	c := r.asRoot(names...)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	users, err := c.UserList(ctx)
	must(t, err)
	roles, err := c.RoleList(ctx)
	must(t, err)
	there := map[string]bool{}
	for _, u := range users.Users {
		there[userKey(u)] = true
	}
	for _, role := range roles.Roles {
		there[roleKey(role)] = true
	}
	n := 0
	for _, user := range j.before(by, "deleted ") {
		if n++; there[userKey(user)] {
			t.Errorf("%s is there again", user)
		}
	}
	for _, kind := range []string{"user ", "role "} {
		for _, name := range j.before(by, kind) {
			if n++; !there[kind+name] && !strings.HasPrefix(name, "gone") {
				t.Errorf("%s%s is lost", kind, name)
			}
		}
	}
	grants := j.before(by, "grant ")
	for _, g := range grants {
		user, role, _ := strings.Cut(g, " ")
		got, err := c.UserGet(ctx, user)
		if err != nil || len(got.Roles) != 1 || got.Roles[0] != role {
			t.Errorf("%s has roles %v, want %s: %v", user, got, role, err)
		}
	}
	if _, err := r.client(names...).Get(ctx, "x"); !errors.Is(err, rpctypes.ErrUserEmpty) {
		t.Errorf("authentication is off: %v", err)
	}
	return n + len(grants)
}

// wantKeys wants each key that was acknowledged by a moment and that nobody took
// away: by a delete, or with a lease.
func (j *journal) wantKeys(t *testing.T, r *rig, c *clientv3.Client, by time.Time) {
	t.Helper()
	var keys []string
	for _, key := range j.before(by, "ack/") {
		n, err := strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
		must(t, err)
		if n%20 != 2 && n%20 != 9 {
			keys = append(keys, "ack/"+key)
		}
	}
	r.wantKeys(c, "ack/", keys)
}

// wantLeases wants the long leases that were granted by a moment.
func (j *journal) wantLeases(t *testing.T, c *clientv3.Client, by time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	got, err := c.Leases(ctx)
	must(t, err)
	there := map[clientv3.LeaseID]bool{}
	for _, l := range got.Leases {
		there[l.ID] = true
	}
	n, lost := 0, 0
	for id, at := range j.leases {
		if at.After(by) {
			continue
		}
		if n++; !there[id] {
			lost++
		}
		if n > 5 {
			continue
		}
		if ttl, err := c.TimeToLive(ctx, id, clientv3.WithAttachedKeys()); err != nil || ttl.GrantedTTL != 3600 || len(ttl.Keys) > 1 {
			t.Errorf("lease %x: %+v, %v", id, ttl, err)
		}
	}
	if lost > 0 || n < 100 {
		t.Errorf("%d of %d leases are lost", lost, n)
	}
}
