//go:build !race

package clustertest

// raceDetector says that the tests run under it.
const raceDetector = false
