package printed

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// book is a registry that counts what is written to it.
type book struct {
	shy
	wrote int
}

func (b *book) Register(ctx context.Context, _, _ string) error { b.wrote++; return nil }

// TestSayableFirst: where the start cannot be printed, nothing is written.
func TestSayableFirst(t *testing.T) {
	for _, odd := range []error{errors.New("odd"), nil} {
		b := &book{shy: shy{looks: 1}}
		var asked etcd.Start
		n := &Node{Asked: plan.Print{Name: "a", PeerURL: "http://h:1", Scheme: "http", Register: true, Token: "t"}, Dir: t.TempDir(), EtcdDir: t.TempDir(),
			Open: func() (Source, error) { return b, nil }, Sayable: func(s etcd.Start) error { asked = s; return odd }}
		d, err := n.Run(t.Context(), 0)
		want := etcd.Start{State: etcd.StateNew, InitialCluster: "a=http://h:1", Token: "t"}
		switch {
		case asked != want:
			t.Errorf("asked for %+v, want %+v", asked, want)
		case odd == nil && (err != nil || b.wrote == 0):
			t.Errorf("sayable: %v, %v, %d writes", d, err, b.wrote)
		case odd != nil && (!errors.Is(err, odd) || b.wrote > 0 || d.Reason != "" || !strings.HasPrefix(err.Error(), "the start")):
			t.Errorf("not sayable: %v, %v, %d writes", d, err, b.wrote)
		}
	}
}
