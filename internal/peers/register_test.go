package peers

import (
	"context"
	"errors"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// book is a source that nodes register at.
type book struct {
	view          cluster.View
	broken, full  error
	registrations []string
}

func (b *book) View(context.Context) (cluster.View, error) { return b.view, b.broken }

func (b *book) Register(_ context.Context, name, peerURL string) error {
	b.registrations = append(b.registrations, name+"="+peerURL)
	return b.full
}

func TestRegistering(t *testing.T) {
	self := cluster.Peer{Name: "a", Host: "10.0.0.1", PeerPort: 2380}
	other := cluster.Peer{Name: "a", Host: "10.0.0.9", PeerPort: 2380}
	fault := errors.New("fault")
	for name, row := range map[string]struct {
		book     book
		wantErr  bool
		register bool
	}{
		"not in it":                {book{}, false, true},
		"it leaves":                {book{}, false, false},
		"in it":                    {book{view: cluster.View{Peers: []cluster.Peer{self}}}, false, false},
		"another of our name":      {book{view: cluster.View{Peers: []cluster.Peer{other}}}, false, true},
		"unknown":                  {book{broken: fault}, true, false},
		"the registration is lost": {book{full: fault}, true, true},
	} {
		b := row.book
		v, err := Registering(&b, self, "https", func() bool { return name == "it leaves" }).View(t.Context())
		if (err != nil) != row.wantErr || (len(b.registrations) == 1 && b.registrations[0] == "a=https://10.0.0.1:2380") != row.register || err != nil && v.Peers != nil {
			t.Errorf("%s: %v, %v, registered %v", name, v, err, b.registrations)
		}
	}
	static, err := Open("a=h", Ports{Client: 1, Peer: 2, Agent: 3})
	if err != nil {
		t.Fatal(err)
	}
	if Registering(static, self, "http", nil) != static {
		t.Error("a source without a register is wrapped")
	}
}
