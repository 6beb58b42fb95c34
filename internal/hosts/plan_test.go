package hosts

import (
	"fmt"
	"strings"
	"testing"
)

var v1 = Manifest{Cluster: "prod", Binary: "b1", Config: "c1", Unit: "u1", Peers: "p1", Files: "f1", Environment: "e1"}

// stands is a host that runs v1 and is to run that too, with changes.
func stands(name string, changes ...func(*Standing)) Standing {
	s := Standing{Name: name, Want: v1, Facts: Facts{Release: v1, ReleaseID: v1.ID(), Active: true, Enabled: true, Unit: v1.Unit, Started: v1.Start()}}
	for _, c := range changes {
		c(&s)
	}
	return s
}

func binary(s *Standing)  { s.Want.Binary = "b2" }
func peersOf(s *Standing) { s.Want.Peers = "p2" }
func leads(s *Standing)   { s.Leads = true }
func fresh(s *Standing)   { s.Facts = Facts{} }
func stopped(s *Standing) { s.Facts.Active, s.Facts.Started = false, "" }

// outlived is a process of the release before the one in force.
func outlived(s *Standing) {
	before := v1
	before.Binary = "b0"
	s.Facts.Started = before.Start()
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		all  []Standing
		want string
	}{
		"all as wanted":           {[]Standing{stands("a"), stands("b")}, ""},
		"nothing anywhere":        {[]Standing{stands("a", fresh), stands("b", fresh)}, "a: start (nothing is there yet), b: start (nothing is there yet)"},
		"a new program":           {[]Standing{stands("a", binary), stands("b", binary)}, "a: restart (another binary); b: restart (another binary)"},
		"the leader is last":      {[]Standing{stands("a", binary, leads), stands("b", binary)}, "b: restart (another binary); a: restart (another binary)"},
		"peers are read again":    {[]Standing{stands("a", peersOf), stands("b", peersOf)}, "a: switch (another peers), b: switch (another peers)"},
		"certificates too":        {[]Standing{stands("a", func(s *Standing) { s.Want.Files = "f2" })}, "a: switch (another files)"},
		"variables are not":       {[]Standing{stands("a", func(s *Standing) { s.Want.Environment = "e2" })}, "a: restart (another environment)"},
		"program and peers":       {[]Standing{stands("a", binary, peersOf)}, "a: restart (another binary)"},
		"a host more":             {[]Standing{stands("a", peersOf), stands("d", fresh)}, "a: switch (another peers); d: start (nothing is there yet)"},
		"a host more, in a roll":  {[]Standing{stands("d", fresh), stands("a", binary, leads), stands("b", binary)}, "b: restart (another binary); a: restart (another binary); d: start (nothing is there yet)"},
		"one is stopped":          {[]Standing{stands("a", stopped), stands("b")}, "a: start (its service does not run)"},
		"one is stopped, and old": {[]Standing{stands("a", stopped, binary), stands("b", binary)}, "a: start (its service does not run); b: restart (another binary)"},
		"all stopped, one new":    {[]Standing{stands("a", stopped), stands("b", stopped), stands("d", fresh)}, "a: start (its service does not run), b: start (its service does not run), d: start (nothing is there yet)"},
		"its file was changed":    {[]Standing{stands("a", func(s *Standing) { s.Facts.Unit = "hand" })}, "a: restart (its service's file was changed)"},
		"it still runs what was before": {[]Standing{stands("a", outlived), stands("b", outlived, leads), stands("c")},
			"a: restart (its process was started from another release); b: restart (its process was started from another release)"},
		"it is about to start":    {[]Standing{stands("a", func(s *Standing) { s.Facts.Started = "" })}, ""}, // and will of that in force
		"it has taken peers over": {[]Standing{stands("a", peersOf, func(s *Standing) { s.Facts.Release, s.Facts.ReleaseID = s.Want, s.Want.ID() })}, ""},
		"not enabled":             {[]Standing{stands("a", func(s *Standing) { s.Facts.Enabled = false })}, "a: switch (its service does not start at boot)"},
		"a directory renamed":     {[]Standing{stands("a", func(s *Standing) { s.Facts.ReleaseID = "other" })}, "a: switch (its release has another name)"},
	} {
		t.Run(name, func(t *testing.T) {
			var turns []string
			for _, turn := range Decide(c.all) {
				var actions []string
				for _, a := range turn {
					actions = append(actions, a.String())
				}
				turns = append(turns, strings.Join(actions, ", "))
			}
			if got := strings.Join(turns, "; "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestDecideOneAtATime: whatever stands, no turn restarts two running hosts, and
// none restarts one beside another action.
func TestDecideOneAtATime(t *testing.T) {
	changes := []func(*Standing){nil, binary, peersOf, fresh, stopped, leads}
	var all [][]func(*Standing)
	for i := range changes {
		for j := range changes {
			for k := range changes {
				all = append(all, []func(*Standing){changes[i], changes[j], changes[k]})
			}
		}
	}
	for _, c := range all {
		var hosts []Standing
		due := 0
		for i, change := range c {
			s := stands(fmt.Sprint(i), binary)
			if change != nil {
				change(&s)
			}
			if !s.Facts.Stands(s.Want) {
				due++
			}
			hosts = append(hosts, s)
		}
		done := 0
		for _, turn := range Decide(hosts) {
			done += len(turn)
			for _, a := range turn {
				if a.Kind == Restart && len(turn) > 1 {
					t.Errorf("%v beside others", turn)
				}
			}
		}
		if done != due {
			t.Errorf("%d actions for %d hosts", done, due)
		}
	}
}

func TestMayRestart(t *testing.T) {
	up, down, learner := Node{Votes: true, Healthy: true}, Node{Votes: true}, Node{Healthy: true}
	for name, c := range map[string]struct {
		nodes []Node
		may   bool
	}{
		"one of three healthy":        {[]Node{up, up, up}, true},
		"another is down":             {[]Node{up, down, up}, false},
		"this one is down":            {[]Node{down, up, up}, true},
		"a learner is no voter":       {[]Node{up, learner, up, up}, true},
		"a learner makes no quorum":   {[]Node{up, up, learner}, true}, // of two voters: neither can ever be spared
		"the only one":                {[]Node{up}, true},
		"one of two":                  {[]Node{up, up}, true},
		"one of two, the other down":  {[]Node{up, down}, false},
		"one of five, one down":       {[]Node{up, down, up, up, up}, true},
		"one of five, two down":       {[]Node{up, down, down, up, up}, false},
		"nobody knows of any voter":   {nil, false},
		"one of four, one of it down": {[]Node{up, down, up, up}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.nodes {
				c.nodes[i].Name = fmt.Sprint(i)
			}
			if err := MayRestart("0", c.nodes); (err == nil) != c.may {
				t.Errorf("may %t: %v", err == nil, err)
			}
		})
	}
}

func TestManifest(t *testing.T) {
	if got := ParseManifest(v1.Text()); got != v1 {
		t.Errorf("%+v", got)
	}
	for i := range v1.parts() {
		other := v1
		fields := []*string{&other.Cluster, &other.DataDir, &other.Binary, &other.Config, &other.Environment, &other.Unit, &other.Files, &other.Peers}
		*fields[i] += "x"
		if reads := i >= 6; (other.Start() == v1.Start()) != reads { // files and peers are read again
			t.Errorf("part %d: started from the same: %t", i, !reads)
		}
		if other.ID() == v1.ID() || len(v1.Differs(other)) != 1 {
			t.Errorf("part %d does not count: %v", i, v1.Differs(other))
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"a=10.0.0.1":                     "[{a 10.0.0.1 10.0.0.1 true}]",
		"a=[2001:db8::1]":                "[{a 2001:db8::1 2001:db8::1 true}]",
		"a=10.0.0.1@bastion-a":           "[{a 10.0.0.1 bastion-a false}]",
		"a=web1,b=web2":                  "[{a web1 web1 true} {b web2 web2 true}]",
		"a":                              `"a": want NAME=ADDRESS or NAME=ADDRESS@SSH-DESTINATION`,
		"a=1.2.3.4:22":                   `"a=1.2.3.4:22": host "1.2.3.4:22": want no port: leave :22 out, and 1.2.3.4 is the host`,
		"a=10.0.0.1@-oProxy=x":           `"a=10.0.0.1@-oProxy=x": SSH destination "-oProxy=x": want a host name, an address or an alias`,
		"a=-oProxyCommand=x":             `"a=-oProxyCommand=x": host "-oProxyCommand=x": want an IP address or a DNS name`,
		"a=10.0.0.1,b=10.0.0.1":          `"b=10.0.0.1": address 10.0.0.1 is in "a=10.0.0.1" too`,
		"a=10.0.0.1,b=10.0.0.2@10.0.0.1": `"b=10.0.0.2@10.0.0.1": SSH destination 10.0.0.1 is in "a=10.0.0.1" too`,
		"a=10.0.0.1,a=10.0.0.1,x":        `"a=10.0.0.1": name a is in "a=10.0.0.1" too` + "\n" + `"a=10.0.0.1": address 10.0.0.1 is in "a=10.0.0.1" too` + "\n" + `"x": want NAME=ADDRESS or NAME=ADDRESS@SSH-DESTINATION`,
		"":                               "not given: want a=10.0.0.1,b=10.0.0.2,c=10.0.0.3",
	} {
		var items []string
		if text != "" {
			items = strings.Split(text, ",")
		}
		got, err := Parse(items)
		shown := fmt.Sprint(got)
		if err != nil {
			lines := strings.Split(err.Error(), "\n")
			shown = strings.Join(lines, "\n")
		}
		if shown != want && !sameLines(shown, want) {
			t.Errorf("%s:\n got %s\nwant %s", text, shown, want)
		}
	}
}

func sameLines(a, b string) bool {
	seen := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		seen[l]++
	}
	for _, l := range strings.Split(b, "\n") {
		seen[l]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestParseFacts: half an answer is none.
func TestParseFacts(t *testing.T) {
	whole := "kernel=Linux\narch=x86_64\nroot=yes\nfree_kib=2048\nrelease=abc\nmanifest=Y2x1c3Rlcj1wcm9kCg==\nactive=activating\nstarted=abc\nend=yes\n"
	f, err := ParseFacts(whole)
	if err != nil || !f.Root || f.FreeProgram != 2<<20 || f.Release.Cluster != "prod" || !f.Active || f.Started != "abc" || f.Enabled {
		t.Errorf("%+v, %v", f, err)
	}
	for i := range strings.Count(whole, "\n") - 1 {
		lines := strings.SplitAfter(whole, "\n")
		if _, err := ParseFacts(strings.Join(lines[:i+1], "")); err == nil {
			t.Errorf("%d lines are taken for all", i+1)
		}
	}
}
