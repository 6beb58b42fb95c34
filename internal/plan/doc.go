// Package plan is quorate's pure core: every decision, as a function from an
// Observation to a Decision. It knows no context, clock, error, logger or
// network; Now is a field of its input. What must be looked up is looked up
// before (internal/agent/observe.go), and what is decided is done after
// (internal/agent/act.go).
package plan
