package printed

import (
	"context"
	"errors"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// shy is a source that does not answer the first look.
type shy struct{ looks int }

func (s *shy) View(context.Context) (cluster.View, error) {
	if s.looks++; s.looks == 1 {
		return cluster.View{}, errors.Join(errors.New("not now"), errors.New("nor soon"))
	}
	return cluster.View{Size: 3}, nil
}

func (*shy) Register(context.Context, string, string) error { return nil }

// TestAutoSize: the size comes from the look that the rest comes from. One look
// without an answer must not make it 0, which is no upper limit, for the next.
func TestAutoSize(t *testing.T) {
	source := &shy{}
	n := &Node{AutoSize: true, Dir: t.TempDir(), EtcdDir: t.TempDir()}
	for _, want := range []struct {
		known  bool
		size   int
		unread string
	}{{false, 0, "not now; nor soon"}, {true, 3, ""}} {
		o, err := n.observe(t.Context(), source)
		if err != nil || o.View.Known() != want.known || o.Size != want.size || o.Unread != want.unread {
			t.Errorf("look %d: view known %t, size %d, unread for %q, %v", source.looks, o.View.Known(), o.Size, o.Unread, err)
		}
	}
}
