// Package raftlog reads committed entries out of the write-ahead log of an etcd
// that runs: it follows the files as they are written, cut and purged. It never
// writes and never takes a lock: etcd would not start on a log that is locked.
//
// What makes an entry final is the whole difficulty. The log's tail may be
// written over by a later leader, the commit index in the file lags for ever on
// an idle member, and what a member has applied may not be in its file yet. An
// entry is yielded when one of these holds, for the log as the file has it up
// to that record, with what was written over taken out:
//
//   - a hard state behind it in the file commits it: etcd writes a hard state
//     after the entries of the same batch;
//   - the member's own snapshot was taken behind it, of an entry of the same term;
//   - the member says that it has applied an entry behind it, and the entry in
//     the file is of that term: then, by raft's log matching, all before it is
//     the committed log too.
package raftlog
