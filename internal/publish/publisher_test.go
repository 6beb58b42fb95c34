package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// world is a zone in memory, with faults: an Apply may do nothing, or only the
// first changes, or all of them, and fail.
type world struct {
	sets  []Set
	fault func() string // "", "none", "some", "all"
	race  func()        // runs between a List and the Apply that follows
	lists int
}

func (w *world) List(context.Context, string) ([]Set, error) {
	w.lists++
	return slices.Clone(w.sets), nil
}

func (w *world) Apply(_ context.Context, changes []Change) error {
	w.overtake()
	fault := ""
	if w.fault != nil {
		fault = w.fault()
	}
	for i, c := range changes {
		if fault == "none" || fault == "some" && i >= len(changes)/2 {
			break
		}
		j := slices.IndexFunc(w.sets, func(s Set) bool { return s.Name == c.Set().Name && s.Type == c.Set().Type })
		if (j >= 0) != (c.Before != nil) || j >= 0 && !w.sets[j].equal(*c.Before) {
			return ErrChanged
		}
		w.sets = applied(w.sets, []Change{c})
	}
	if fault != "" {
		return errors.New("the provider answers 503")
	}
	return nil
}

func (w *world) overtake() {
	if race := w.race; race != nil {
		w.race = nil
		race()
	}
}

// transactional is a world whose changes are made at once.
type transactional struct{ *world }

func (transactional) Transactional() {}

func (w transactional) Apply(ctx context.Context, changes []Change) error {
	w.overtake()
	before := slices.Clone(w.sets)
	err := w.world.Apply(ctx, changes)
	if errors.Is(err, ErrChanged) {
		w.sets = before
	}
	return err
}

func (w *world) lines() string {
	var out []string
	for _, s := range w.sets {
		out = append(out, fmt.Sprint(s.Name, s.Type, s.Values))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// What a failure leaves half done is finished, and nobody is ever pointed at a
// name without an address, nor is a name written to that is not claimed.
func TestPartialFailureIsFinished(t *testing.T) {
	srv := func(n string) string { return "_s SRV 0 0 2380 " + n + ".example.org." }
	steps := [][]cluster.Record{
		records("a A 10.0.0.1", srv("a")), records("a A 10.0.0.1", "b A 10.0.0.2", srv("a"), srv("b")), records("b A 10.0.0.3", srv("b")), nil,
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := &world{}
		w.fault = func() string { return []string{"", "none", "some", "all"}[r.IntN(4)] }
		p := New(w, domain)
		for _, want := range steps {
			for tries := 0; ; tries++ {
				_, err := p.Reconcile(t.Context(), Wish{Owner: us, Records: want})
				checkHalfway(t, seed, w.sets)
				if err == nil {
					break
				}
				if tries > 60 {
					t.Fatalf("seed %d: never done: %v", seed, err)
				}
			}
			if d := Diff(Wish{Owner: us, Records: want}, w.sets); len(d.Changes) > 0 {
				t.Fatalf("seed %d: done, and not as wished: %v", seed, d.Changes)
			}
		}
		if len(w.sets) > 0 {
			t.Fatalf("seed %d: left: %s", seed, w.lines())
		}
	}
}

func checkHalfway(t *testing.T, seed uint64, sets []Set) {
	t.Helper()
	has := func(name, kind string) bool {
		return slices.ContainsFunc(sets, func(s Set) bool { return s.Name == name && s.Type == kind })
	}
	for _, s := range sets {
		if s.Type != "TXT" && !has(ownerName(s.Name), "TXT") {
			t.Fatalf("seed %d: %s %s is not claimed", seed, s.Name, s.Type)
		}
		for _, v := range s.Values {
			if target := CleanName(v[strings.LastIndexByte(v, ' ')+1:]); s.Type == "SRV" && !has(target, "A") {
				t.Fatalf("seed %d: %s points at %s, which has no address", seed, s.Name, target)
			}
		}
	}
}

// Two clusters that want the same free name at the same moment never both get
// it, and neither overwrites the other.
func TestRaceForAName(t *testing.T) {
	for name, make := range map[string]func(*world) Zone{
		"at once":    func(w *world) Zone { return transactional{w} },
		"one by one": func(w *world) Zone { return w },
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			ours, theirs := New(make(w), domain), New(make(w), domain)
			rival := Wish{Owner: Owner{Cluster: "rival", Epoch: 1, ID: 1}, Records: records("a A 10.9.9.9")}
			w.race = func() {
				if _, err := theirs.Reconcile(t.Context(), rival); err != nil {
					t.Error(err)
				}
			}
			_, err := ours.Reconcile(t.Context(), Wish{Owner: us, Records: records("a A 10.0.0.1")})
			if !errors.Is(err, ErrChanged) {
				t.Errorf("overtaken: %v", err)
			}
			won := w.lines()
			r, err := ours.Reconcile(t.Context(), Wish{Owner: us, Records: records("a A 10.0.0.1")})
			if err != nil || len(r.Changes) != 0 || len(r.Refused) != 1 || w.lines() != won || !strings.Contains(won, "10.9.9.9") {
				t.Errorf("then: %+v, %v: %s", r, err, w.lines())
			}
		})
	}
}

// A hand that undoes every change does not keep a Reconcile busy for ever.
func TestReconcileEnds(t *testing.T) {
	w := &world{}
	_, err := New(undone{w}, domain).Reconcile(t.Context(), Wish{Owner: us, Records: records("a A 10.0.0.1")})
	if err == nil || !strings.Contains(err.Error(), "somebody else changes it too") || w.lists != passes {
		t.Errorf("after %d looks: %v", w.lists, err)
	}
}

// undone forgets every change.
type undone struct{ *world }

func (u undone) Apply(context.Context, []Change) error { return nil }

// blind is a provider that makes a change whatever is there, as Cloudflare's
// batch would in the moment after its look.
type blind struct{ *world }

func (b blind) Apply(_ context.Context, changes []Change) error {
	b.overtake()
	for _, c := range changes {
		now := Set{Name: c.Set().Name, Type: c.Set().Type, TTL: c.Set().TTL}
		i := slices.IndexFunc(b.sets, func(s Set) bool { return s.Name == now.Name && s.Type == now.Type })
		if i >= 0 {
			now.Values = slices.Clone(b.sets[i].Values)
			b.sets = slices.Delete(b.sets, i, i+1)
		}
		if c.Before != nil {
			now.Values = slices.DeleteFunc(now.Values, func(v string) bool { return slices.Contains(c.Before.Values, v) })
		}
		if c.After != nil {
			now.Values = append(now.Values, c.After.Values...)
		}
		if len(now.Values) > 0 {
			b.sets = append(b.sets, now.Sorted())
		}
	}
	return nil
}

// Where nothing prevents two claims to one name, neither cluster writes to it.
func TestTwoClaimsToOneName(t *testing.T) {
	w := &world{}
	ours, theirs := New(blind{w}, domain), New(blind{w}, domain)
	// The rival has listed, and claims in the moment before we do.
	w.race = func() {
		w.sets = zone("a CLAIM rival 1 1")
	}
	r, err := ours.Reconcile(t.Context(), Wish{Owner: us, Records: records("a A 10.0.0.1")})
	if err != nil || len(r.Refused) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := theirs.Reconcile(t.Context(), Wish{Owner: Owner{Cluster: "rival", Epoch: 1, ID: 1}, Records: records("a A 10.9.9.9")}); err != nil || len(r.Refused) != 1 {
		t.Errorf("the rival: %+v, %v", r, err)
	}
	if strings.Contains(w.lines(), "10.") {
		t.Errorf("written to: %s", w.lines())
	}
}

// Names of ours below another domain of the zone are another publisher's.
func TestOnlyBelowTheDomain(t *testing.T) {
	w := &world{sets: zone("x CLAIM test 2 c2", "x A 10.0.0.1")}
	before := w.lines()
	if r, err := New(w, "prod."+domain).Reconcile(t.Context(), Wish{Owner: us}); err != nil || len(r.Changes) > 0 || w.lines() != before {
		t.Errorf("%+v, %v: %s", r, err, w.lines())
	}
}
