// Package fleettest tests quorate on AWS as a whole: moto is the cloud, and
// each of its instances is a real `quorate run` process with a real etcd on a
// loopback address of its own, with a metadata service that answers for it.
// An instance that moto terminates is a machine that is gone: its processes are
// killed and its disk is deleted.
//
// What moto lacks, the proxy in front of it answers from AWS's documentation
// (package awsproxy says what). The package has tests alone.
package fleettest
