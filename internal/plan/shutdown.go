package plan

// Shutdown says how an agent that was told to end ends its etcd: the lead goes
// to the most caught-up voter first, so that the others need no election.
// Nobody is removed.
func Shutdown(o Observation) Decision {
	switch {
	case !o.Process.Running || o.Process.Foreign || o.OfAnother():
		return wait("no etcd of ours runs")
	case o.IsKeeper():
		if to, ok := successor(o, survey(o)); ok {
			return do("stop", "this agent was told to end", nil, TransferLeadership{to.ID, to.Label()}, StopEtcd{})
		}
	}
	return do("stop", "this agent was told to end", nil, StopEtcd{})
}
