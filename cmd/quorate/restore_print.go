package main

import (
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/replay"
)

// restored is what a restore says at its end.
type restored struct {
	replay.Result
	Took  time.Duration `json:"took"`
	Token string        `json:"token"`
	Dirs  []string      `json:"data_dirs"`
}

func (c *restoreCmd) printRestored(out io.Writer, r replay.Result, took time.Duration) error {
	all := restored{Result: r, Took: took, Token: c.tokenOf(r.Plan)}
	for _, t := range c.targets(c.To, "") {
		dir := t.DataDir
		if c.alone() {
			dir = c.To
		}
		all.Dirs = append(all.Dirs, filepath.Clean(dir))
	}
	if c.Output == "json" {
		return writeJSON(out, all)
	}
	fmt.Fprintf(out, "restored revision %d (index %d) in %s: snapshot %s and %d entries of the log\n",
		r.Revision, r.Index, took.Round(10*time.Millisecond), r.Plan.Base.Key, r.Entries)
	if r.Checked > 0 {
		fmt.Fprintf(out, "at revision %d it hashes as the live cluster did\n", r.Checked)
	}
	if c.Bump > 0 {
		fmt.Fprintf(out, "the new cluster begins at revision %d; older ones are compacted\n", r.Revision+int64(c.Bump))
	}
	for _, dir := range all.Dirs {
		fmt.Fprintf(out, "data directory: %s\n", dir)
	}
	return nil
}

// progressTo says how far a restore is, every few seconds.
func progressTo(out io.Writer) replay.Progress {
	var mu sync.Mutex
	last := time.Now()
	return func(what string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		if what == "snapshot" {
			done, total = done>>20, total>>20
		}
		fmt.Fprintf(out, "%s: %d of %d %s\n", what, done, total, map[string]string{"snapshot": "MiB", "log": "segments"}[what])
	}
}
