// Package agent is one node's loop: observe, decide, act. It owns every
// goroutine and all retrying; what it does, package plan has decided.
package agent
