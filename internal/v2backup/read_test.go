package v2backup

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 3, 10, 12, 30, 0, 0, time.UTC)

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// shown is what Read makes of a text, one line a node.
func shown(r io.Reader) (string, error) {
	var b strings.Builder
	err := Read(r, testNow, func(n Node) error {
		fmt.Fprintf(&b, "%s=%s", n.Key, n.Value)
		if n.Dir {
			b.WriteString(" dir")
		}
		if !n.Expires.IsZero() {
			fmt.Fprintf(&b, " in %s", n.Expires.Sub(testNow))
		}
		b.WriteString("; ")
		return nil
	})
	return strings.TrimSuffix(b.String(), "; "), err
}

func TestRead(t *testing.T) {
	in := func(d time.Duration) string { return `"expiration":"` + testNow.Add(d).Format(time.RFC3339Nano) + `"` }
	tests := map[string]struct{ text, want, problem string }{
		"nothing":               {},
		"the root is no key":    {text: `{"key":"","dir":true}` + "\n" + `{"key":"/","dir":true}`},
		"a key":                 {text: `{"key":"/a","value":"1","modifiedIndex":7,"createdIndex":7}`, want: "/a=1"},
		"an empty value":        {text: `{"key":"/a"}`, want: "/a="},
		"lines":                 {text: "{\"key\":\"/a\",\"value\":\"x\\ny\"}\n\n  \n{\"key\":\"/b\",\"value\":\"<\\u003c\"}\n", want: "/a=x\ny; /b=<<"},
		"an expiration":         {text: `{"key":"/a","ttl":7,` + in(time.Minute) + `}`, want: "/a= in 1m0s"},
		"a ttl alone":           {text: `{"key":"/a","ttl":7}`, want: "/a= in 7s"},
		"a ttl of ages":         {text: `{"key":"/a","ttl":9223372036854775807}`, want: "/a= in 2500000h0m0s"},
		"expired":               {text: `{"key":"/a",` + in(-time.Minute) + `}`, want: "/a= in -1m0s"},
		"a directory":           {text: `{"key":"/d","dir":true}` + "\n" + `{"key":"/d/a","value":"1"}`, want: "/d= dir; /d/a=1"},
		"the directory's end":   {text: `{"key":"/d","dir":true,` + in(time.Minute) + `}` + "\n" + `{"key":"/d/e/a","value":"1"}` + "\n" + `{"key":"/de","value":"2"}`, want: "/d= dir in 1m0s; /d/e/a=1 in 1m0s; /de=2"},
		"the nearest of both":   {text: `{"key":"/d","dir":true,` + in(time.Minute) + `}` + "\n" + `{"key":"/d/a",` + in(time.Hour) + `}` + "\n" + `{"key":"/d/b",` + in(time.Second) + `}`, want: "/d= dir in 1m0s; /d/a= in 1m0s; /d/b= in 1s"},
		"no JSON":               {text: "hello", problem: "line 1: want a JSON object"},
		"half a line":           {text: `{"key":"/a"}` + "\n" + `{"key":"/b`, want: "/a=", problem: "line 2: want a JSON object"},
		"an array":              {text: `[{"key":"/a"}]`, problem: "line 1: want a JSON object"},
		"all nodes in one":      {text: `{"dir":true,"nodes":[{"key":"/a"}]}`, problem: "holds nodes: want one key a line"},
		"no key":                {text: `{"value":"x"}`, problem: `line 1: key "": want one that begins with /`},
		"another kind of key":   {text: `{"key":"a"}`, problem: `line 1: key "a": want`},
		"a wrong type":          {text: `{"key":"/a","ttl":"soon"}`, problem: "line 1: want a JSON object"},
		"a wrong time":          {text: `{"key":"/a","expiration":"soon"}`, problem: "line 1: want a JSON object"},
		"bad lines end nothing": {text: "x\n" + `{"key":"/a"}` + "\ny\n", want: "/a=", problem: "line 3: want"},
		"bad lines end":         {text: strings.Repeat("x\n", 1000), problem: "and more"},
		"a line without end":    {text: `{"key":"/a","value":"` + strings.Repeat("x", maxLine), problem: "line 1: is longer than 16 MiB"},
	}
	for name, tt := range tests {
		for how, r := range map[string]io.Reader{"plain": strings.NewReader(tt.text), "gzip": bytes.NewReader(packed(t, tt.text))} {
			got, err := shown(r)
			if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s, %s: %q, %v, want %q, %q", name, how, got, err, tt.want, tt.problem)
			}
		}
	}
}

func TestReadOfDamagedGzip(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "{\"key\":\"/%d\",\"value\":\"%d\"}\n", i, i*i)
	}
	whole := packed(t, text.String())
	for _, cut := range []int{3, 11, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
		if _, err := shown(bytes.NewReader(whole[:cut])); err == nil {
			t.Errorf("cut at %d of %d: no error", cut, len(whole))
		}
	}
	for at := 10; at < len(whole); at += 97 {
		bad := bytes.Clone(whole)
		bad[at] ^= 1
		if _, err := shown(bytes.NewReader(bad)); err == nil {
			t.Errorf("flipped at %d of %d: no error", at, len(whole))
		}
	}
}

// A small file that unpacks to a huge one does not fill the memory.
func TestReadOfABomb(t *testing.T) {
	bomb := packed(t, `{"key":"/a","value":"`+strings.Repeat("x", 64<<20))
	if _, err := shown(bytes.NewReader(bomb)); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("%d bytes: %v", len(bomb), err)
	}
}

func TestReadEndsWithItsCaller(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	err := Read(strings.NewReader(strings.Repeat("{\"key\":\"/a\"}\n", 5)), testNow, func(Node) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 2 {
		t.Errorf("%d nodes, %v", n, err)
	}
}

// FuzzRead: whatever comes, it ends, with keys that begin with a slash.
func FuzzRead(f *testing.F) {
	for _, text := range []string{"", "{}", `{"key":"/a","value":"1","ttl":3}`, `{"key":"/d","dir":true,"expiration":"2026-03-10T12:31:00Z"}` + "\n" + `{"key":"/d/a"}`,
		`{"key":"//","dir":true,"ttl":1}` + "\n" + `{"key":"///"}`, "\x1f\x8b\x08"} {
		f.Add([]byte(text))
		f.Add(packed(f, text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Read(bytes.NewReader(data), testNow, func(n Node) error {
			if !strings.HasPrefix(n.Key, "/") {
				t.Errorf("key %q", n.Key)
			}
			return nil
		})
	})
}
