// Package control is the agent API and its client: plain HTTP with JSON, on the
// agent port, for other agents, the command line and load balancers.
package control
