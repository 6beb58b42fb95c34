package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// fit is a machine of which nothing is to be said.
func fit() Facts {
	return Facts{Now: now, Etcd: "3.7.3",
		Disk:  Disk{Path: "/d", N: 300, P50: time.Millisecond, P99: 2 * time.Millisecond, Free: 20 << 30, DB: 1 << 30, Quota: 8 << 30},
		Ports: []Port{{Use: "etcd's clients", Number: 2379, Free: true}},
		Peers: []Peer{{Name: "b", Took: time.Millisecond, MTU: 1500, Large: 20 << 10, Etcd: "3.7.1"}},
		Store: &Store{Name: "s3://x", Took: 20 * time.Millisecond, ClockKnown: true},
		Certs: []Cert{{Key: "cert-file", File: "/c", Name: "a", Ends: now.Add(90 * 24 * time.Hour)}},
	}
}

// TestJudge: one thing is wrong with the machine; what is not go, and what is said.
func TestJudge(t *testing.T) {
	no := errors.New("denied")
	for name, c := range map[string]struct {
		change func(*Facts)
		want   string // verdict, check, part of measured and say; empty: all is well
	}{
		"all is well":                 {func(*Facts) {}, ""},
		"refused configuration":       {func(f *Facts) { f.Config = errors.New("peers: not given") }, "no-go configuration refused peers: not given"},
		"no disk":                     {func(f *Facts) { f.Disk.Err = no }, "no-go disk /d not writable denied"},
		"a slow disk":                 {func(f *Facts) { f.Disk.P99 = 10 * time.Millisecond }, "warn fsync p99 10ms, median 1ms of 300 writes"},
		"a hopeless disk":             {func(f *Facts) { f.Disk.P99 = time.Second / 2 }, "no-go fsync p99 500ms"},
		"little room":                 {func(f *Facts) { f.Disk.Free = 15<<30 - 1 }, "warn room 15.0 GiB free; the database has 1.0 GiB of its quota of 8.0 GiB"},
		"no room":                     {func(f *Facts) { f.Disk.Free = 1<<30 - 1 }, "no-go room"},
		"no room, though it is empty": {func(f *Facts) { f.Disk.Free, f.Disk.DB = roomNo-1, 0 }, "no-go room"},
		"the worst of two clocks, the first": {func(f *Facts) {
			f.Peers = append(f.Peers, Peer{Name: "c", MTU: 1500, Etcd: "3.7.3"})
			f.Peers[0].Ahead = 300 * time.Millisecond
		}, "warn clock b 300ms ahead"},
		"the worst of two clocks, the second": {func(f *Facts) {
			f.Peers = append(f.Peers, Peer{Name: "c", MTU: 1500, Etcd: "3.7.3", Ahead: -300 * time.Millisecond})
		}, "warn clock c 300ms behind"},
		"three lines": {func(f *Facts) {
			f.Peers = append(f.Peers, Peer{Name: "c", MTU: 1500, Etcd: "3.8.0"})
			f.Peers[0].Etcd = "3.6.14"
		}, "no-go etcd versions here 3.7.3, b 3.6.14, c 3.8.0"},
		"no right, and slow":          {func(f *Facts) { f.Store.Put, f.Store.Took = no, 2*time.Second }, "no-go store rights s3://x put: denied"},
		"no room for a copy":          {func(f *Facts) { f.Disk.Free, f.Disk.DB = 5<<30, 6<<30 }, "no-go room"},
		"a port held by us":           {func(f *Facts) { f.Ports[0] = Port{Ours: true} }, ""},
		"a port in use":               {func(f *Facts) { f.Ports[0].Free, f.Ports[0].Holder = false, "nginx" }, "no-go port 2379 (etcd's clients) in use held by nginx"},
		"a port that is forbidden":    {func(f *Facts) { f.Ports[0].Free, f.Ports[0].Err = false, no }, "no-go port 2379 (etcd's clients) cannot be opened denied"},
		"a silent peer":               {func(f *Facts) { f.Peers[0] = Peer{Name: "b", Err: no} }, "warn reach b no agent answers denied"},
		"a far peer":                  {func(f *Facts) { f.Peers[0].Took = 50 * time.Millisecond }, "warn reach b 50ms"},
		"too far a peer":              {func(f *Facts) { f.Peers[0].Took = 500 * time.Millisecond }, "no-go reach b 500ms"},
		"large packets are lost":      {func(f *Facts) { f.Peers[0].LargeErr = no }, "no-go path to b small packets arrive, large ones do not"},
		"a small MTU":                 {func(f *Facts) { f.Peers[0].MTU = 1279 }, "warn path to b MTU 1279"},
		"no MTU known":                {func(f *Facts) { f.Peers[0].MTU = 0 }, ""},
		"a clock that is off":         {func(f *Facts) { f.Peers[0].Ahead = -251 * time.Millisecond }, "warn clock b 251ms behind"},
		"a clock off by the way":      {func(f *Facts) { f.Peers[0].Ahead = 250 * time.Millisecond }, ""},
		"a clock that is wrong":       {func(f *Facts) { f.Peers[0].Ahead = 6 * time.Second }, "no-go clock b 6s ahead"},
		"the store's clock":           {func(f *Facts) { f.Store.Ahead = -2 * time.Minute }, "no-go clock b 0s ahead; the store 2m0s behind"},
		"an unknown clock of a store": {func(f *Facts) { f.Store.Ahead, f.Store.ClockKnown = time.Hour, false }, ""},
		"two lines":                   {func(f *Facts) { f.Peers[0].Etcd = "3.6.14" }, "warn etcd versions here 3.7.3, b 3.6.14"},
		"two lines, too far":          {func(f *Facts) { f.Peers[0].Etcd = "3.5.33" }, "no-go etcd versions here 3.7.3, b 3.5.33"},
		"no etcd":                     {func(f *Facts) { f.Etcd = "" }, "no-go etcd versions here unknown"},
		"no etcd there yet":           {func(f *Facts) { f.Peers[0].Etcd = "" }, ""},
		"no store":                    {func(f *Facts) { f.Store = nil }, "warn store none"},
		"no condition":                {func(f *Facts) { f.Store.Create = no }, "no-go store condition s3://x denied"},
		"no right to list":            {func(f *Facts) { f.Store.List = no }, "no-go store rights s3://x list: denied"},
		"no right to put":             {func(f *Facts) { f.Store.Put = no }, "no-go store rights s3://x put: denied"},
		"no right to get":             {func(f *Facts) { f.Store.Get = no }, "no-go store rights s3://x get: denied"},
		"no right to delete":          {func(f *Facts) { f.Store.Drop = no }, "no-go store rights s3://x delete: denied"},
		"a slow store":                {func(f *Facts) { f.Store.Took = 2 * time.Second }, "warn store rights list, get, put, delete; a put takes 2s"},
		"a certificate that ends":     {func(f *Facts) { f.Certs[0].Ends = now.Add(13 * 24 * time.Hour) }, "warn certificate cert-file a, ends in 13 days"},
		"a certificate that ended":    {func(f *Facts) { f.Certs[0].Ends = now.Add(-time.Hour) }, "no-go certificate cert-file a, ended 2026-01-02"},
		"a certificate that is none":  {func(f *Facts) { f.Certs[0].Err = no }, "no-go certificate cert-file /c denied"},
	} {
		f := fit()
		c.change(&f)
		all := Judge(f)
		var got []string
		for _, k := range all {
			if k.Verdict != Go {
				got = append(got, strings.TrimSpace(string(k.Verdict)+" "+k.Name+" "+k.Measured+" "+k.Say))
			}
		}
		line := strings.Join(got, "\n")
		if c.want == "" && line != "" || !strings.HasPrefix(line, c.want) || len(got) > 1 {
			t.Errorf("%s: got %q, want %q", name, line, c.want)
		}
		if Fit(all) == strings.HasPrefix(c.want, "no-go") {
			t.Errorf("%s: fit is %v", name, Fit(all))
		}
	}
}
