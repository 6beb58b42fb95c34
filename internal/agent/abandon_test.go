package agent

// abandon makes the agent end without touching its etcd, as kill -9 would.
func (a *Agent) abandon() { a.abandoned.Store(true) }
