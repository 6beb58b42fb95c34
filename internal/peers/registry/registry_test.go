package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

// entries are made of values, in their order.
func entries(values ...string) []Entry {
	var out []Entry
	for i, v := range values {
		out = append(out, Entry{ID: fmt.Sprint("id", i), Value: v, Order: int64(i + 1)})
	}
	return out
}

func TestView(t *testing.T) {
	for name, row := range map[string]struct {
		values []string
		want   string
	}{
		"in the order of registration": {[]string{"z=http://10.0.0.9:2380", "a=http://10.0.0.1:2380"}, "z@10.0.0.9:2380 a@10.0.0.1:2380"},
		"two URLs, two notations":      {[]string{"a=http://h:1&a=http://i:2", "b=https://[::1]:7,b=http://x:1"}, "a@h:1 b@::1:7"},
		"a changed address":            {[]string{"a=http://h:1", "b=http://i:1", "a=http://j:1"}, "b@i:1 a@j:1"},
		"a new machine at the address": {[]string{"a=http://h:1", "b=http://i:1", "c=http://h:1"}, "b@i:1 c@h:1"},
		"nobody yet":                   {nil, ""},
		"no name":                      {[]string{"http://h:1"}, `error: registration "id0": want name=peerURL`},
		"empty":                        {[]string{" "}, "error: registration"},
		"a bad one among good":         {[]string{"a=http://h:1", "b=h:2"}, "error: registration \"id1\": want a peer URL"},
		"no port":                      {[]string{"a=http://h"}, "error: registration \"id0\": want a peer URL with a port"},
		"two names":                    {[]string{"a=http://h:1,b=http://i:1"}, "error: registration \"id0\": want one name"},
		"user and password":            {[]string{"a=http://u:secret@h:1"}, "error: registration \"id0\": want a peer URL"},
		"a bad name":                   {[]string{"a b=http://h:1"}, "error: registration \"id0\": name"},
		"two on one host":              {[]string{"a=http://h:1", "b=http://h:2"}, "error: address h:2379: given twice"},
	} {
		v, err := View(entries(row.values...), 3, usual)
		var said []string
		for _, p := range v.Peers {
			said = append(said, fmt.Sprintf("%s@%s:%d", p.Name, p.Host, p.PeerPort))
		}
		got := strings.Join(said, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if err == nil && (got != row.want || v.Size != 3) || err != nil && (row.want == "" || !strings.HasPrefix(got, row.want)) || strings.Contains(got, "secret") {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// TestFounding: who is recorded as a founder by another URL than its own never starts.
func TestFounding(t *testing.T) {
	for name, row := range map[string]struct {
		scheme string
		values []string
		want   string
	}{
		"of one scheme":              {"http", []string{"a=http://h:1", "b=http://i:1"}, ""},
		"of another scheme":          {"http", []string{"a=http://h:1", "b=https://i:1"}, `registration "id1", of "b": its peer URL is https://i:1, and this node's is http: want one scheme`},
		"this one is the other":      {"https", []string{"a=http://h:1"}, `registration "id0", of "a": its peer URL is http://h:1, and this node's is https`},
		"of another, and came anew":  {"https", []string{"a=http://h:1", "a=https://h:1"}, ""},
		"no scheme of ours is known": {"", []string{"a=http://h:1", "b=https://i:1"}, ""},
		"two URLs":                   {"http", []string{"a=http://h:1", "b=http://i:1,b=http://j:1"}, `registration "id1", of "b": 2 peer URLs: want one`},
		"two URLs, and came anew":    {"http", []string{"b=http://i:1&b=http://j:1", "b=http://i:1"}, ""},
		"nobody yet":                 {"http", nil, ""},
	} {
		if err := Founding(entries(row.values...), row.scheme); (err == nil) != (row.want == "") || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

// TestFree: nobody pushes out one that waits at the same address.
func TestFree(t *testing.T) {
	for name, row := range map[string]struct {
		noted, values []string
		want          string
	}{
		"nobody there":              {nil, []string{"b=http://h:2", "c=http://i:1"}, ""},
		"itself":                    {nil, []string{"a=http://h:1"}, ""},
		"another that waits":        {nil, []string{"b=http://h:1"}, `registration "id0" calls the machine at http://h:1 "b", not "a"`},
		"by another scheme":         {nil, []string{"b=https://h:1"}, `registration "id0" calls the machine at https://h:1 "b", not "a"`},
		"a predecessor":             {[]string{"id0"}, []string{"b=http://h:1"}, ""},
		"another that has moved on": {nil, []string{"b=http://h:1", "b=http://i:1"}, ""},
	} {
		if err := Free(entries(row.values...), row.noted, Of("a", "http://h:1")); (err == nil) != (row.want == "") || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func TestInStep(t *testing.T) {
	a, b, waits := Of("a", "http://a:1"), Of("b", "http://b:1"), Of("w", "http://w:1")
	gone := Of("g", "http://g:1")
	members := []cluster.Member{
		{Name: "a", PeerURLs: []string{"http://a:1"}}, {Name: "b", PeerURLs: []string{"http://old:1", "http://b:1"}},
		{Name: "n", PeerURLs: []string{"http://n:1"}}, {PeerURLs: []string{"http://unstarted:1"}},
	}
	c := InStep([]Entry{a, b, waits, gone}, []string{a.ID, gone.ID}, members)
	n := Of("n", "http://n:1")
	if got, want := fmt.Sprint(c), fmt.Sprint(Changes{Add: []Entry{n}, Note: []string{b.ID, n.ID}, Drop: []string{gone.ID}}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c := InStep([]Entry{a, b, waits, n}, []string{a.ID, b.ID, n.ID}, members); !c.Empty() {
		t.Errorf("not at rest: %+v", c)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int{"3": 3, " 5\n": 5, "0": 0, "-1": 0, "x": 0, "": 0, "99999": 0} {
		if n, err := Size(text); n != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func FuzzView(f *testing.F) {
	for _, seed := range []string{"", "a=http://10.0.0.1:2380", "a=http://h:1,a=http://i:2&a=https://j:3", "a=b=c", "=", "a=http://[::1]:2380\nb=http://h:1", "a=http://h:99999", "a=http://h:1/", "a=http://h%00:1"} {
		f.Add(seed, "3")
	}
	f.Fuzz(func(t *testing.T, lines, size string) {
		if n, err := Size(size); err == nil && n < 1 {
			t.Fatalf("size %d of %q", n, size)
		}
		all := entries(strings.Split(lines, "\n")...)
		InStep(all, []string{"id0"}, []cluster.Member{{Name: "a", PeerURLs: []string{"http://10.0.0.1:2380"}}})
		v, err := View(all, 3, usual)
		if err != nil {
			return
		}
		problems := []error{entry.Unique(v.Peers)}
		for _, p := range v.Peers {
			problems = append(problems, entry.Check(p))
			again, err := Of(p.Name, p.PeerURL("http")).Peer()
			if err != nil || !Same(again, p) || again.Name != p.Name {
				t.Fatalf("%+v: registered again: %+v, %v", p, again, err)
			}
		}
		if err := errors.Join(problems...); err != nil {
			t.Fatalf("%q: %v", lines, err)
		}
	})
}

// FuzzFounders: a record names whole founders, and is what they are written as,
// or is an error that names none.
func FuzzFounders(f *testing.F) {
	for _, seed := range []string{"", "-", "a=http://10.0.0.1:2380,b=https://[::1]:2380", "a=http://h:1,a=http://h:1", "a=http://h:1&b=http://i:2", " a=http://h:1", "a=b=c", "a=http://u:secret@h:1", "a=http://h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record string) {
		founders, err := Founders(record)
		if err != nil {
			if founders != nil || strings.Contains(err.Error(), "secret") && !strings.Contains(record, "secret=") {
				t.Fatalf("%q: %v beside %v", record, founders, err)
			}
			return
		}
		if len(founders) == 0 && record != Elsewhere {
			t.Fatalf("%q founds nobody, and is no error", record)
		}
		for _, one := range founders {
			p, err := Of(one.Name, one.PeerURL).Peer()
			if err != nil || p.Name != one.Name {
				t.Fatalf("%q: %+v cannot register: %+v, %v", record, one, p, err)
			}
		}
		if again, err := Founders(Record(founders)); len(founders) > 0 && (err != nil || !slices.Equal(again, founders)) {
			t.Fatalf("%q: %v, written and read again %v, %v", record, founders, again, err)
		}
	})
}
