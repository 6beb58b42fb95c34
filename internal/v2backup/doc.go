// Package v2backup brings what etcd-aws has backed up, the keys of etcd's v2
// store, into v3 keys: one JSON object a line, {key, value, dir, ttl,
// expiration}, compressed with gzip.
//
// A key keeps its name and its value. A directory is nothing in v3, but its
// expiration holds for all below it. What expires gets a lease for the time
// that is left; what has expired is left out.
package v2backup
