package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The mutants: for each guard of this package (an if, a case without a tag, an
// operand of && or ||) the package in which that guard is forced to false or to
// true. All of them live behind a switch in one test binary, built once from an
// overlay; each is run alone, first against the sentences, then against a
// sample of the enumeration. A guard whose mutant nothing notices is either
// untested or not needed: TestMutants fails on it.

// notMutated are the files whose guards decide nothing, or have tests of their own.
var notMutated = []string{"retain.go", "json.go", "decision.go", "doc.go"}

// mutantSource is the switch that the overlay adds to the package.
const mutantSource = `package plan

import "flag"

var (
	mutantOn    = flag.Int("mutant", -1, "the guard that is forced")
	mutantForce = flag.Bool("mutant-force", false, "what it is forced to")
)

func mut(k int, guard bool) bool {
	if *mutantOn == k {
		return *mutantForce
	}
	return guard
}
`

// site is a guard in the source.
type site struct {
	from, to int // byte offsets
	name     string
	force    []bool
}

type mutant struct {
	k     int
	force bool
	name  string
}

func TestMutants(t *testing.T) {
	dir := t.TempDir()
	mutants := overlay(t, dir)
	bin := filepath.Join(dir, "plan.test")
	if out, err := exec.Command("go", "test", "-c", "-o", bin, "-overlay", filepath.Join(dir, "overlay.json"), ".").CombinedOutput(); err != nil {
		t.Fatalf("building the mutants: %v\n%s", err, out)
	}
	if !survives(t, bin, mutant{k: -1}) {
		t.Fatal("the tests fail without any mutant")
	}
	work := make(chan mutant)
	var survivors []string
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for m := range work {
				if survives(t, bin, m) {
					mu.Lock()
					survivors = append(survivors, m.name)
					mu.Unlock()
				}
			}
		})
	}
	for _, m := range mutants {
		work <- m
	}
	close(work)
	wg.Wait()
	slices.Sort(survivors)
	for _, s := range survivors {
		if equivalent[s] == "" {
			t.Errorf("survives: %s", s)
		}
	}
	for name := range equivalent {
		if !slices.Contains(survivors, name) {
			t.Errorf("is killed or gone, and still excused: %s", name)
		}
	}
	fmt.Printf("plan: killed %d of %d mutants, %d are equivalent\n", len(mutants)-len(survivors), len(mutants), len(equivalent))
}

// survives runs the tests with one mutant switched on.
func survives(t *testing.T, bin string, m mutant) bool {
	t.Helper()
	for _, run := range [][]string{
		{"-test.skip=^TestMutants|^TestRetain|^TestEnumerate|^TestProperty"},
		{"-test.run=^TestEnumerate"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		args := append(run, "-test.short", "-test.failfast", fmt.Sprintf("-mutant=%d", m.k), fmt.Sprintf("-mutant-force=%v", m.force))
		err := exec.CommandContext(ctx, bin, args...).Run()
		cancel()
		if err != nil {
			return false
		}
	}
	return true
}

// overlay writes the mutated sources and what tells the compiler of them.
func overlay(t *testing.T, dir string) []mutant {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutant
	k := 0
	replace := map[string]string{}
	write := func(name string, src []byte) {
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, src, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(here, name)] = to
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || slices.Contains(notMutated, f) {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sites := guards(t, f, src)
		write(f, rewrite(src, sites, k))
		for _, s := range sites {
			for _, force := range s.force {
				all = append(all, mutant{k, force, fmt.Sprintf("%s is %v", s.name, force)})
			}
			k++
		}
	}
	write("mutant.go", []byte(mutantSource))
	doc, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// guards finds the guards of a file, outer ones before inner ones.
func guards(t *testing.T, file string, src []byte) []site {
	t.Helper()
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sites []site
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		add := func(e ast.Expr, force ...bool) {
			from, to := fset.Position(e.Pos()).Offset, fset.Position(e.End()).Offset
			text := strings.Join(strings.Fields(string(src[from:to])), " ")
			sites = append(sites, site{from, to, fn.Name.Name + ": " + text, force})
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				add(n.Cond, false, true)
			case *ast.SwitchStmt:
				if n.Tag != nil {
					break
				}
				for _, c := range n.Body.List {
					for _, e := range c.(*ast.CaseClause).List {
						add(e, false, true)
					}
				}
			case *ast.BinaryExpr:
				for _, e := range []ast.Expr{n.X, n.Y} {
					if inner, ok := e.(*ast.BinaryExpr); ok && inner.Op == n.Op || n.Op != token.LAND && n.Op != token.LOR {
						continue
					}
					add(e, n.Op == token.LAND) // as if it were not there
				}
			}
			return true
		})
	}
	return sites
}

// rewrite wraps each guard, numbered from k.
func rewrite(src []byte, sites []site, k int) []byte {
	open, shut := map[int]string{}, map[int]string{}
	for i, s := range sites {
		open[s.from] += fmt.Sprintf("mut(%d, ", k+i)
		shut[s.to] += ")"
	}
	var out strings.Builder
	for i, b := range src {
		out.WriteString(shut[i] + open[i])
		out.WriteByte(b)
	}
	return []byte(out.String())
}

// equivalent are the mutants that no test can kill, and why.
var equivalent = map[string]string{}
