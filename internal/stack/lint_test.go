package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/pyvenv"
)

// cfn-lint knows each resource's schema and each IAM action; no rule is
// switched off, and a warning fails as well.
func TestLint(t *testing.T) {
	bin, err := pyvenv.Install(t.Context(), "cfn-lint")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, region := range []string{"us-east-1", "eu-central-1", "eu-west-1"} { // a pair's templates are for their own
		args := []string{"--regions", region, "--"}
		for i, n := range single(t) {
			if n.region != "" && n.region != region || n.region == "" && region != "us-east-1" {
				continue
			}
			text, err := n.template.YAML()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.yaml", region, i))
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			args = append(args, file)
		}
		if len(args) < 5 {
			t.Fatalf("%s: only %d templates", region, len(args)-3)
		}
		if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "cfn-lint"), args...).CombinedOutput(); err != nil {
			t.Errorf("cfn-lint: %v\n%s", err, out)
		}
	}
}
