package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Numbers are padded so that a listing sorts; 10 digits outlast any cluster.

func epochKey(epoch cluster.Epoch, rest string) string {
	return fmt.Sprintf("ledger/%010d/%s", uint64(epoch), rest)
}

func charterKey(epoch cluster.Epoch) string    { return epochKey(epoch, "charter.json") }
func readyKey(epoch cluster.Epoch) string      { return epochKey(epoch, "ready.json") }
func checkpointKey(epoch cluster.Epoch) string { return epochKey(epoch, "checkpoint.json") }
func lockKey(n uint64) string                  { return fmt.Sprintf("ledger/lock/%010d.json", n) }
func rollKey(n uint64) string                  { return fmt.Sprintf("ledger/rolls/%010d.json", n) }

func startedKey(epoch cluster.Epoch, name string) string {
	return epochKey(epoch, "started/"+escape(name)+".json")
}

func verdictKey(epoch cluster.Epoch, n uint64) string {
	return epochKey(epoch, fmt.Sprintf("verdict/%010d.json", n))
}

func journalKey(e Entry) string {
	at := e.At.UTC().Format("20060102T150405.000000000Z")
	return epochKey(e.Epoch, "journal/"+at+"-"+escape(e.Nonce)+".json")
}

// escape makes one key segment of a name that users and hosts made up. It is
// one to one, and lower-case letters alone stay as they are of the letters, so
// that two names differ in a directory that ignores case.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_' && !strings.HasPrefix(name[i:], "__"), c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// stamp drops what JSON would drop, so that an entry equals its stored form.
func stamp(t time.Time) time.Time { return t.Round(0).UTC() }
