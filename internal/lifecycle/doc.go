// Package lifecycle is what the agent does to machines of an Auto Scaling
// group, and how it hears of them: hooks are held and completed, a bad machine
// is condemned, a ready one announced; messages from a queue and the notices
// of this machine's own metadata service make the agent look.
//
// Actions name the instance and never a token, so any node can do them whether
// or not it has had the message. What AWS no longer waits for is done.
package lifecycle
