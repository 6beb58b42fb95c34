package etcd

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// newbornSize bounds the database of a member that has received nothing yet:
// bbolt takes 16 MB at once.
const newbornSize = 20 << 20

// CatchingUp says how far a running etcd is with the database that its leader
// sends it, by the files in its data directory: etcd writes what arrives to a
// temporary one, gives that a snapshot's name when it is whole, and then makes it
// the database, which it loads before it applies anything. What cannot be read
// has not arrived.
func CatchingUp(etcdDir string) cluster.CatchUp {
	dir := filepath.Dir(dbFile(etcdDir))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return cluster.CatchUp{}
	}
	var c cluster.CatchUp
	arriving := false
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
		case strings.HasPrefix(e.Name(), "tmp"):
			c.Bytes, arriving = max(c.Bytes, info.Size()), true
		case strings.HasSuffix(e.Name(), ".snap.db"):
			c.Bytes, c.Whole = max(c.Bytes, info.Size()), true
		case e.Name() == filepath.Base(dbFile(etcdDir)) && info.Size() > newbornSize:
			c.Bytes, c.Whole = max(c.Bytes, info.Size()), true
		}
	}
	c.Whole = c.Whole && !arriving
	return c
}
