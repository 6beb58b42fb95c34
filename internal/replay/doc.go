// Package replay brings a member's database forward over committed entries of
// the raft log, by etcd's own apply path: the same code, on the same entries, in
// the same order makes the same keys, revisions, leases, users and compactions.
// With it a full snapshot and the log after it become the cluster's state at any
// entry, revision or moment.
//
// No raft runs here, and so nothing of the membership is applied: what is built
// gets new members. It replays the log of one minor version of etcd, its own;
// the log of another is for a binary of that minor.
package replay
