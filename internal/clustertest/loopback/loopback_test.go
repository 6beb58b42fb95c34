package loopback

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRig: a rig's network is no other rig's, and nobody's else.
func TestRig(t *testing.T) {
	seen := map[string]bool{}
	for n := range 247 {
		network := Rig(n, 1)
		for _, theirs := range []string{"127.0.", "127.31.", "127.88.", "127.251."} {
			if strings.HasPrefix(network, theirs) {
				t.Errorf("the rig's network %d is %s", n, network)
			}
		}
		seen[network] = true
	}
	if len(seen) != 247 || Rig(247, 1) != Rig(0, 1) {
		t.Errorf("%d networks, and then %s", len(seen), Rig(247, 1))
	}
}

// TestTake: what is taken nobody else gets, until it is given back.
func TestTake(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	first, held, err := Take("test", 2)
	if err != nil {
		t.Fatal(err)
	}
	second, other, err := Take("test", 2)
	if err != nil || second == first {
		t.Fatalf("%d after %d, %v", second, first, err)
	}
	defer other.Close()
	if n, _, err := Take("test", 2); err == nil || !strings.Contains(err.Error(), "all 2 of the test are taken") {
		t.Errorf("%d, %v", n, err)
	}
	heir := exec.Command("sleep", "60")
	heir.ExtraFiles = []*os.File{held}
	if err := heir.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if n, _, err := Take("test", 2); err == nil {
		t.Errorf("%d, while somebody holds it", n)
	}
	_ = heir.Process.Kill()
	_ = heir.Wait()
	if n, again, err := Take("test", 2); err != nil || n != first {
		t.Errorf("%d, %v; want %d", n, err, first)
	} else {
		again.Close()
	}
}
