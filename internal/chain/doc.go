// Package chain is what the store holds of the raft log: segments of committed
// entries, one after the other, each bound to the one before it. It encodes,
// decodes, verifies and lists them. Who ships them, and who replays them, is
// decided elsewhere.
//
//	log/<epoch %010d>/<chain %06d>/<number %010d>.seg
//
// An epoch's log is cut in chains. A chain begins on a full snapshot and goes on
// over later ones, which only make restores shorter. A hole in the log, damage
// or a new epoch begins a new chain; the newest chain of the newest epoch counts.
//
// A segment is one object, created only if absent:
//
//	{"format":"quorate segment v1", …}\n   the Header: what is in it, and the SHA-256 of the object before
//	<ed25519 signature of that line, hexadecimal, or nothing>\n
//	<the entries as they were: each its length, a varint, and its protobuf; zstd; age>
//
// The header is in plain text, so that a chain is verified without the key that
// opens it. It holds the SHA-256 of the rest as stored, and so a signature of
// the header is one of the whole. Entries may hold passwords' hashes and tokens.
//
// Two members may ship at once: only one can create a number, and the other
// reads it, finds the entries it has itself (the same index and term is the same
// entry, everywhere), and goes on behind them.
package chain
