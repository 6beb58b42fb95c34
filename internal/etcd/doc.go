// Package etcd is quorate's hold on one etcd: the command line for the version
// at hand, the child process that outlives the agent, its client, and what its
// data directory says while nothing is running on it.
//
// It acts and reports; it decides nothing and retries nothing. Linux only: it
// leans on /proc and pidfds (kernel 5.3).
package etcd
