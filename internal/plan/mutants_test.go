package plan

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The mutants: for each guard of this package (an if, a case without a tag, an
// operand of && or ||) the package in which that guard is forced to false or to
// true. All of them live behind a switch in one test binary, built once from an
// overlay; each is asked alone every sentence of the specification, and then a
// sample of the enumeration. A guard whose mutant nothing notices is either
// untested or not needed: TestMutants fails on it.

// notMutated are the files whose guards decide nothing, or have tests of their own: which
// version runs, and the path of an upgrade, have TestRuns, TestUpgradePath and TestStartAs.
var notMutated = []string{"retain.go", "json.go", "decision.go", "doc.go", "versions.go", "path.go", "startas.go"}

// mutantOn is the guard that is forced, mutantForce what to: the overlay has
// every guard of the package ask mut.
var (
	mutantOn    = -1
	mutantForce bool
)

//lint:ignore U1000 the overlay's guards call it
func mut(k int, guard bool) bool {
	if mutantOn == k {
		return mutantForce
	}
	return guard
}

var mutantList = flag.String("within", "", "run the mutants of this list: the binary is the overlay's")

// site is a guard in the source.
type site struct {
	from, to int // byte offsets
	name     string
	force    []bool
}

type mutant struct {
	K     int
	Force bool
	Name  string
}

func TestMutants(t *testing.T) {
	if *mutantList != "" {
		runWithin(t, *mutantList)
		return
	}
	dir := t.TempDir()
	mutants := overlay(t, dir)
	list, bin := filepath.Join(dir, "mutants.json"), filepath.Join(dir, "plan.test")
	writeJSON(t, list, mutants)
	if out, err := exec.Command("go", "test", "-c", "-o", bin, "-overlay", filepath.Join(dir, "overlay.json"), ".").CombinedOutput(); err != nil {
		t.Fatalf("building the mutants: %v\n%s", err, out)
	}
	out, err := exec.Command(bin, "-test.run=^TestMutants$", "-within="+list).CombinedOutput()
	if err != nil {
		t.Fatalf("running the mutants: %v\n%s", err, out)
	}
	var survivors []string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "survives: "); ok {
			survivors = append(survivors, name)
		}
	}
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

// runWithin prints the mutants that nothing notices.
func runWithin(t *testing.T, list string) {
	var mutants []mutant
	b, err := os.ReadFile(list)
	if err == nil {
		err = json.Unmarshal(b, &mutants)
	}
	if err != nil {
		t.Fatal(err)
	}
	tables, sample := specification(), sampled()
	if notices(tables, sample) {
		t.Fatal("the tests fail without any mutant")
	}
	for _, m := range mutants {
		mutantOn, mutantForce = m.K, m.Force
		noticed := notices(tables, sample)
		mutantOn = -1
		if !noticed {
			fmt.Println("survives: " + m.Name)
		}
	}
}

// table is rows and how they are asked.
type table struct {
	rows map[string]row
	ask  func(Observation) string
}

func specification() []table {
	var out []table
	for _, rows := range []map[string]row{foundRows(), consentRows(), joinRows(), resumeRows(), serveRows(), recoverFromASurvivorRows(),
		recoverFromABackupRows(), nobodyLeftRows(), storedRows(), declareRows(), removeRows(), admitRows(), admitVersionsRows(), learnerRows(), backUpRows(), adoptedRows(), guardRows(), localRows(), turnRows(), rollRows(), rollTurnRows(), rollBackRows(),
		neverRows(), removedRows(), holdRows(), holdOwnRows(), departRows(), condemnRows(), announceRows(), corruptRows(), slowRows(), silenceRows(), spaceRows()} {
		out = append(out, table{rows, askDecide})
	}
	out = append(out, recordTables()...)
	out = append(out, table{doomRows(), askDoom}, table{goersRows(), askGone}, table{defragRows(), askDefrag}, table{ailmentRows(), askAilments}, table{listenRows(), askListen}, table{tornRows(), Torn}, table{rollStaleRows(), askStale})
	return append(out, table{claimRows(), askClaim}, table{shutdownRows(), askShutdown}, table{explainRows(), askExplain}, table{stepsRows(), askSteps}, table{stakesRows(), askStakes}, table{outrunRows(), askOutrun}, table{seeksRows(), askSeeks},
		table{guardClaimRows(), askClaim}, table{guardExplainRows(), askExplain}, table{guardShutdownRows(), askShutdown})
}

// sampled is a thin sample of the enumeration.
func sampled() []Observation {
	var out []Observation
	for _, s := range spaces() {
		for i := 0; i < s.size(); i += max(1, s.size()/5000) | 1 {
			out = append(out, s.at(i))
		}
	}
	return out
}

// notices says that a sentence of the specification or an invariant fails; a
// mutant that panics is noticed too.
func notices(tables []table, sample []Observation) (noticed bool) {
	defer func() { noticed = noticed || recover() != nil }()
	for _, t := range tables {
		if wrong(t.rows, t.ask) {
			return true
		}
	}
	for beats, want := range pulses {
		if askPulse(beats) != want {
			return true
		}
	}
	if wrong(printRows(), askPrint) || wrong(printStartRows(), askPrintStart) || wrong(provesRows(), askProves) || wrong(retainLogRows(), askRetainLog) ||
		wrong(looksRows(), askLooks) || wrong(gapRows(), askGap) {
		return true
	}
	return slices.ContainsFunc(sample, func(o Observation) bool { return violated(o, Decide(o)) != "" })
}

// wrong says that a sentence of the table fails.
func wrong[S any](rows map[string]rowOf[S], ask func(S) string) bool {
	for _, r := range rows {
		if ask(r.see) != r.want {
			return true
		}
	}
	return false
}

func writeJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
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
	k, times := 0, map[string]int{}
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
			if times[s.name]++; times[s.name] > 1 { // an excuse is for one guard only
				s.name += fmt.Sprintf(" (%d)", times[s.name])
			}
			for _, force := range s.force {
				all = append(all, mutant{k, force, fmt.Sprintf("%s is %v", s.name, force)})
			}
			k++
		}
	}
	writeJSON(t, filepath.Join(dir, "overlay.json"), map[string]any{"Replace": replace})
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

// equivalent are the mutants that no test can kill, and why. The second guard of
// the same words in functions of one name is numbered 2.
var equivalent = map[string]string{
	"admitIntoRoom: o.size() > 0 && len(h.voters) >= o.size() is false": "in a full cluster admit begins with a removal, which is left out here",
	"integrity: accused (2) is true":                                    "one that is not accused and was not compared makes it unchecked, which accuses nobody",
	"integrity: len(c.Rounds) == 0 is false":                            "a comparison without rounds has compared nobody",
	"successor: found is true":                                          "while none is found the next one is taken anyway",
	"behind: !ok is false":                                              "no report is the zero report, which is not healthy",
	"versionFacts: ok is true":                                          "no report is the zero report, which tells nothing",
	"hearers: name != \"\" is true":                                     "no agent is without a name",
	"holdsUp: o.Process.Stale.Roll > 0 (2) is true":                     "no roll has the number 0",
	"BackupBy: ok is true":                                              "no report is the zero report, which is not healthy",
	"BackupBy: s.ID != o.Etcd.Value().MemberID is true":                 "our own report is not among the others'",
	"consent: grant.Known() is true":                                    "the nonce of no grant is empty, and no proposal's is",
	"holder: s.ID != 0 is true":                                         "a data directory has a member id",
	"isFounder: ok is true":                                             "the zero founder's URL is empty, and ours is not",
	"keep: ok (3) is true":                                              "a rule that has nothing to say says the zero decision",
	"mayStartAsFounder: o.Disk.State != cluster.DiskEmpty is false":     "every caller has an empty disk; it stays because a founding must never depend on that",
	"nextSeed: b.Known() (4) is true":                                   "only founders of a backup's charter say SeedFailed",
	"turnSick: found is true":                                           "without a keeper its cluster id is 0",
	"ownWord: s.ID != 0 (2) is true":                                    "nobody disowns the id 0",
	"resume: found is true":                                             "without a keeper its cluster id is 0",
	"attend: found (2) is true":                                         "without a keeper its cluster id is 0",
	"attend: o.Disk.State == cluster.DiskData (2) is true":              "an etcd that runs on a directory elsewhere is foreign",
	"stalled: ok is true":                                               "no report is the zero report, in which nothing runs",
	"succeed: c.Seed.Kind == cluster.SeedSurvivor is true":              "only a survivor's seed names a survivor",
	"withdrawn: ok is true":                                             "the zero founder's URL is nobody's",
}
