// Package cluster holds quorate's nouns: peers, members, charters, facts and
// the quorum arithmetic. It is plain data on the standard library, with no IO,
// so that every other package can speak in the same words.
package cluster
