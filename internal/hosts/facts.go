package hosts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Facts is what a host says of itself before anything is put there.
type Facts struct {
	Kernel, Arch string // as uname says
	Root         bool   // we may become root there
	Systemd      bool
	Clock        Clock
	FreeProgram  int64 // bytes free where the program goes

	Release    Manifest // the one in force; none: nothing of ours is there
	ReleaseID  string   // its directory's name
	Installed  bool     // a directory of ours is there, with a release in force or not
	Unit       string   // SHA-256 of the service's file; empty: there is none
	UnitIsOurs bool
	Linked     bool   // the name quorate in the usual place is our link
	Active     bool   // the service runs, or is about to run again
	Started    string // what the running process was started from, Manifest.Start; empty: none runs at this moment
	Enabled    bool
	Binaries   []string // SHA-256 of the binaries that are there
	Peers      string   // the text of the peers file in force
	User       bool     // the user quorate is there
	DataDir    bool     // the data directory is there
	Others     []string // other services that run an etcd
}

// Clock is how far a host's clock is ahead of ours, give or take Doubt.
type Clock struct {
	Offset, Doubt time.Duration
	Known         bool
}

// ParseFacts reads what the look-up script prints: lines KEY=VALUE. A missing
// end line is an error: half an answer is none.
func ParseFacts(text string) (Facts, error) {
	v := map[string]string{}
	for l := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimRight(l, "\r\n"), "="); ok {
			v[key] = value
		}
	}
	if v["end"] != "yes" {
		return Facts{}, errors.New("the host's answer is not whole")
	}
	free, err := strconv.ParseInt(v["free_kib"], 10, 64)
	if err != nil {
		return Facts{}, fmt.Errorf("free space %q: want a number", v["free_kib"])
	}
	manifest, err := base64.StdEncoding.DecodeString(v["manifest"])
	if err != nil {
		return Facts{}, fmt.Errorf("manifest: %w", err)
	}
	peers, err := base64.StdEncoding.DecodeString(v["peers"])
	if err != nil {
		return Facts{}, fmt.Errorf("peers: %w", err)
	}
	yes := func(key string) bool { return v[key] == "yes" }
	return Facts{Kernel: v["kernel"], Arch: v["arch"], Root: yes("root"), Systemd: yes("systemd"), FreeProgram: free << 10,
		Release: ParseManifest(string(manifest)), ReleaseID: v["release"], Installed: yes("installed"),
		Unit: v["unit"], UnitIsOurs: yes("unit_ours"), Linked: yes("linked"),
		Active: slices.Contains([]string{"active", "activating", "reloading"}, v["active"]), Started: v["started"], Enabled: v["enabled"] == "enabled",
		Binaries: strings.Fields(v["binaries"]), Peers: string(peers), User: yes("user"), DataDir: yes("data_dir"), Others: strings.Fields(v["others"])}, nil
}

// Stands says that the host runs exactly that release.
func (f Facts) Stands(want Manifest) bool {
	return f.Release == want && f.ReleaseID == want.ID() && f.Active && f.Enabled && f.Unit == want.Unit && !f.outlived(want)
}

// outlived says that what runs was started from something else: whoever
// switched to the release in force has not lived to restart it. A process that
// is only about to start will be of the release in force.
func (f Facts) outlived(want Manifest) bool { return f.Started != "" && f.Started != want.Start() }
