// Package backup moves whole etcd databases between a cluster and the object
// store: it takes full snapshots, lists and verifies them, and builds data
// directories from them or from the disk of a survivor. Everything streams;
// nothing here holds a database in memory. What to keep is decided elsewhere
// (plan.Retain), and when to act too.
//
// A backup is two objects, under keys of one stem:
//
//	backups/<epoch>/<UTC time>-<revision>-<nonce>.db.zst   the database, zstd; with .age behind, encrypted
//	backups/<epoch>/<UTC time>-<revision>-<nonce>.json     the manifest, a cluster.Backup, and its signature
//
// The manifest is written last and makes the backup exist. An object without
// one is rubbish, which Sweep removes. DESIGN.md tells why.
package backup
