// Package ship brings the raft log to the store while it is written: beside
// each etcd runs a Shipper, and one of them at a time reads its member's log and
// writes segments.
//
// No lock says which one. The members have an order (turn.go); the first ships,
// and each further one only when it sees, by the reports of the others and its
// own member, that what is committed is not stored for a while. Two that ship at
// once do no harm: a number is created once, and who comes second finds its own
// entries there and goes on behind them.
//
// The queue is the write-ahead log itself: no more than two batches are held in
// memory, however slow the store. When nothing changes, nothing is asked of it.
package ship
