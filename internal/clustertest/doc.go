// Package clustertest is a world in memory for the planners: machines with
// disks, a peers source, a store and an etcd, all under one seed and in virtual
// time. Every node runs the real plan.Decide; what an agent does for it, and
// what can go wrong in that, is modelled here. One goroutine, no real clock:
// the same seed gives the same run.
//
// The fake fails the run when its contract is broken: an impossible step, a
// second history in an epoch, an acknowledged write that is lost while a disk
// holds it, a quorum broken by a membership change, an identity used again
// without its data.
package clustertest
