// Package gate keeps requests from failing while the lead of a cluster is handed
// over, and while a member stops.
//
// A raft leader that hands over drops what is proposed to it: its own clients'
// proposals with an error that the official client does not retry, those that
// other members have forwarded without a word (their clients wait 7 s). So before
// a hand-over the gate of every voter holds new requests back, and those under
// way are waited for; what is then dropped is nothing. Each gate opens by itself
// as soon as its member sees another leader, when who asked for it has gone, or
// when the limit is over: it can delay requests, never keep them.
//
// A Gate sits in the etcd process, as an interceptor of its gRPC server, and
// listens on a Unix socket in quorate's data directory; Hold is the agent's side.
// A stock etcd has no gate.
package gate

import "time"

// HoldLimit is how long a gate stays shut at most: less than any client's time
// limit, more than a hand-over takes on a machine that is busy.
const HoldLimit = 500 * time.Millisecond
