// Package arch holds the tests of the structure: who may import whom, what the
// pure core may use, and that ARCHITECTURE.md names only what exists.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/quorate/quorate/"
)

// arrows says, for each package, which of ours it may import. What is missing
// here may import nothing of ours: a new package says here what it leans on.
var arrows = map[string][]string{
	"internal/plan":            {"internal/cluster"},
	"internal/control":         {"internal/cluster", "internal/plan"},
	"internal/firewall":        {"internal/cluster", "internal/aws"},
	"internal/ledger":          {"internal/cluster", "internal/store"},
	"internal/background":      {},
	"internal/gate":            {},
	"internal/smallfile":       {},
	"internal/tlsfiles":        {"internal/smallfile"},
	"internal/child":           {},
	"internal/etcd":            {"internal/cluster", "internal/durable"},
	"internal/backup":          {"internal/child", "internal/cluster", "internal/store", "internal/etcd", "internal/seal"},
	"internal/chain":           {"internal/cluster", "internal/store", "internal/seal"},
	"internal/raftlog":         {},
	"internal/ship":            {"internal/cluster", "internal/chain", "internal/raftlog", "internal/seal", "internal/store"},
	"internal/replay":          {"internal/child", "internal/cluster", "internal/backup", "internal/chain", "internal/seal"},
	"internal/peers/entry":     {"internal/cluster"},
	"internal/peers/static":    {"internal/cluster", "internal/peers/entry"},
	"internal/peers/file":      {"internal/cluster", "internal/peers/entry"},
	"internal/peers/aws":       {"internal/cluster", "internal/peers/entry", "internal/peers/query", "internal/aws"},
	"internal/peers/pace":      {"internal/cluster"},
	"internal/peers/dns":       {"internal/cluster", "internal/peers/entry", "internal/peers/pace", "internal/peers/query"},
	"internal/peers/registry":  {"internal/cluster", "internal/peers/entry"},
	"internal/peers/discovery": {"internal/cluster", "internal/peers/entry", "internal/peers/pace", "internal/peers/query", "internal/peers/registry"},
	"internal/peers/discoveryurl": {"internal/cluster", "internal/peers/entry", "internal/peers/pace", "internal/peers/query",
		"internal/peers/registry", "internal/tlsfiles"},
	"internal/peers/exec":          {"internal/cluster", "internal/peers/entry", "internal/peers/file", "internal/peers/pace", "internal/peers/query"},
	"internal/clustertest/named":   {"internal/clustertest/apt", "internal/clustertest/process"},
	"internal/clustertest/etcd34":  {"internal/clustertest/apt", "internal/clustertest/process"},
	"internal/clustertest/etcdbin": {"internal/clustertest/apt", "internal/clustertest/lockfile"},
	"internal/clustertest/apt":     {"internal/clustertest/lockfile"},
	"internal/clustertest/pyvenv":  {"internal/clustertest/lockfile"},
	"internal/peers/peerstest":     {"internal/cluster", "internal/peers/entry"},
	"internal/peers": {"internal/cluster", "internal/peers/entry", "internal/peers/static", "internal/peers/file", "internal/peers/aws",
		"internal/peers/dns", "internal/peers/discovery", "internal/peers/discoveryurl", "internal/peers/exec"},
	"internal/config":              {"internal/cluster", "internal/peers", "internal/peers/entry", "internal/tlsfiles", "internal/smallfile", "internal/store", "internal/etcd", "internal/aws", "internal/publish", "internal/lifecycle", "internal/firewall", "internal/seal", "internal/seal/kms"},
	"internal/store/storetest":     {"internal/store"},
	"internal/lifecycle":           {"internal/aws", "internal/cluster"},
	"internal/cloudwatch":          {"internal/aws"},
	"internal/publish":             {"internal/cluster", "internal/smallfile"},
	"internal/publish/lookup":      {"internal/cluster"},
	"internal/publish/route53":     {"internal/publish"},
	"internal/publish/rfc2136":     {"internal/publish"},
	"internal/publish/cloudflare":  {"internal/publish"},
	"internal/publish/clouddns":    {"internal/publish"},
	"internal/publish/publishtest": {"internal/cluster", "internal/publish"},
	"internal/clustertest":         {"internal/cluster", "internal/plan"},
	"internal/clustertest/moto":    {"internal/clustertest/pyvenv"},
	"internal/agent": {"internal/cluster", "internal/plan", "internal/control", "internal/etcd", "internal/ledger", "internal/store",
		"internal/backup", "internal/chain", "internal/ship", "internal/durable", "internal/tlsfiles", "internal/publish", "internal/seal", "internal/replay", "internal/gate"},
	"internal/printed":      {"internal/cluster", "internal/plan", "internal/etcd", "internal/durable"},
	"internal/stack":        {"internal/unit"},
	"internal/hosts":        {"internal/cluster", "internal/peers/entry"},
	"internal/hosts/probe":  {"internal/hosts"},
	"internal/doctor":       {},
	"internal/hosts/deploy": {"internal/control", "internal/hosts", "internal/hosts/probe", "internal/hosts/ssh"},
	"cmd/quorate": {"internal/agent", "internal/aws", "internal/background", "internal/backup", "internal/chain", "internal/child", "internal/cloudwatch", "internal/cluster", "internal/config", "internal/control", "internal/durable", "internal/gate", "internal/seal", "internal/seal/kms",
		"internal/etcd", "internal/firewall", "internal/ledger", "internal/lifecycle", "internal/peers", "internal/peers/discovery", "internal/plan", "internal/printed", "internal/replay", "internal/publish", "internal/publish/lookup", "internal/publish/route53",
		"internal/publish/rfc2136", "internal/publish/cloudflare", "internal/publish/clouddns", "internal/stack", "internal/stack/deploy", "internal/store", "internal/smallfile", "internal/tlsfiles", "internal/doctor", "internal/hosts", "internal/hosts/deploy", "internal/hosts/probe", "internal/hosts/ssh", "internal/unit", "internal/v2backup"},
}

// pure is all that the core may import of the standard library.
var pure = []string{"cmp", "encoding/json", "fmt", "slices", "strconv", "strings", "time", "maps", "sort", "math", "net/netip"}

func TestArrows(t *testing.T) {
	for file, imports := range sources(t, false) {
		pkg := filepath.ToSlash(filepath.Dir(file))
		for _, imp := range imports {
			ours, isOurs := strings.CutPrefix(imp, module)
			if isOurs && !slices.Contains(arrows[pkg], ours) {
				t.Errorf("%s imports %s: no arrow leads there from %s", file, ours, pkg)
			}
			if pkg == "internal/cluster" && strings.Contains(imp, ".") {
				t.Errorf("%s imports %s: the nouns are on the standard library alone", file, imp)
			}
			if pkg == "internal/plan" && !isOurs && !slices.Contains(pure, imp) {
				t.Errorf("%s imports %s: plan decides, it does not act", file, imp)
			}
		}
	}
}

// TestPlanReadsNoClock: Now is a field of the observation.
func TestPlanReadsNoClock(t *testing.T) {
	for _, call := range []string{"time.Now(", "time.Since(", "time.After(", "time.Sleep(", "rand."} {
		files, err := filepath.Glob(filepath.Join(root, "internal/plan/*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of plan: %v", err)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f, "_test.go") && strings.Contains(string(raw), call) {
				t.Errorf("%s calls %s", f, call)
			}
		}
	}
}

// TestOnlyActHandlesSteps: a step's meaning is in one place.
func TestOnlyActHandlesSteps(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(root, "internal/agent/*.go"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(f) != "act.go" && !strings.HasSuffix(f, "_test.go") && strings.Contains(string(raw), "case plan.") {
			t.Errorf("%s handles steps: only act.go does", f)
		}
	}
}

// TestArchitecturePage: every file and symbol that the page names exists, and
// the page is short.
func TestArchitecturePage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if n := strings.Count(page, "\n"); n > 150 {
		t.Errorf("ARCHITECTURE.md has %d lines: 150 at most", n)
	}
	known := symbols(t)
	for _, quoted := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(page, -1) {
		name := quoted[1]
		switch {
		case strings.ContainsAny(name, " *<>=$:{") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/"):
		case strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "cmd/"):
			if !exists(name) {
				t.Errorf("ARCHITECTURE.md names %s: there is none", name)
			}
		case regexp.MustCompile(`^[a-z]+\.[A-Za-z]\w+$`).MatchString(name), regexp.MustCompile(`^Test\w+$`).MatchString(name):
			if !known[name] {
				t.Errorf("ARCHITECTURE.md names %s: there is no such symbol", name)
			}
		}
	}
}

func exists(name string) bool {
	for _, base := range []string{"", "internal"} {
		if _, err := os.Stat(filepath.Join(root, base, name)); err == nil {
			return true
		}
	}
	return false
}

// symbols are package.Name of every top-level declaration, and every test's name.
func symbols(t *testing.T) map[string]bool {
	known := map[string]bool{}
	for file := range sources(t, true) {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		add := func(name string) { known[tree.Name.Name+"."+name], known[name] = true, true }
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				add(d.Name.Name)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						add(s.Name.Name)
					case *ast.ValueSpec:
						for _, n := range s.Names {
							add(n.Name)
						}
					}
				}
			}
		}
	}
	return known
}

// sources maps each Go file below cmd and internal to its imports.
func sources(t *testing.T, tests bool) map[string][]string {
	out := map[string][]string{}
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") && !tests {
				return err
			}
			tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			var imports []string
			for _, i := range tree.Imports {
				imports = append(imports, strings.Trim(i.Path.Value, `"`))
			}
			out[filepath.ToSlash(rel)] = imports
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
