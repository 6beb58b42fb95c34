package aws

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
)

// AWS is asked at most every so often, unless something has happened; and a
// failure is not covered by what was true before it.
func heldAnswers(r rig) {
	r.Group(home, "g", 2)
	s := r.source("aws-asg://g")
	s.at.every = time.Hour
	asked := func(want int) {
		r.Helper()
		if n := r.Count("DescribeAutoScalingGroups"); n != want {
			r.Errorf("asked %d times, want %d", n, want)
		}
	}
	r.view(s)
	r.view(s)
	asked(1)
	s.Refresh()
	r.view(s)
	r.view(s)
	asked(2)
	r.Inject("DescribeAutoScalingGroups", awsproxy.Denied) // is not tried again
	r.view(s)
	s.Refresh()
	r.unknown(s, "AccessDenied")
	r.unknown(s, "AccessDenied")
	asked(3)
	r.Heal()
	r.unknown(s, "AccessDenied")
	s.Refresh()
	r.view(s)
	asked(4)
}

// Who hangs costs the caller no more than it has; nobody else waits for that,
// and the next one asks anew.
func hanging(r rig) {
	r.Group(home, "g", 1)
	s := r.source("aws-asg://g")
	s.at.every = time.Hour
	r.Inject("DescribeInstances", awsproxy.Hanging)
	ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.View(ctx); err == nil || time.Since(began) > 3*time.Second {
		r.Errorf("%v after %s", err, time.Since(began))
	}
	r.Heal()
	r.view(s)
}
