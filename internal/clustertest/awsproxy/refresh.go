package awsproxy

// Scale sets the group's desired capacity, as its operator does: it grows by
// newcomers, or shrinks by its oldest, after their hooks.
func (p *Proxy) Scale(region, group string, n int) {
	p.t.Helper()
	if err := p.scale(region, group, n); err != nil {
		p.t.Errorf("scaling %s to %d: %v", group, n, err)
	}
}

// Surge launches one instance more than the group desires. With Retire it is
// what an instance refresh does to each machine when the group's minimum
// healthy percentage is 100 (launch before terminating); moto has no refresh.
func (p *Proxy) Surge(region, group string) {
	p.t.Helper()
	before := len(p.Instances(region, group))
	p.moment.Lock()
	defer p.moment.Unlock()
	p.mu.Lock()
	p.surplus[region+"/"+group]++
	p.mu.Unlock()
	if err := p.setDesired(region, group, before+1); err != nil {
		p.t.Errorf("launching one more in %s: %v", group, err)
	}
}

// Retire ends an instance, after its hooks, that a surge has made superfluous.
func (p *Proxy) Retire(region, group, instanceID string) {
	p.t.Helper()
	err := p.terminate(region, instanceID, func(*machine) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.surplus[region+"/"+group]--
		return nil
	})
	if err != nil {
		p.t.Errorf("retiring %s: %v", instanceID, err)
	}
}
