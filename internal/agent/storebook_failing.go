package agent

import "time"

// failing is how the store has answered lately. The zero value is well.
type failing struct {
	why   string
	times int       // in a row
	since time.Time // of the first of them
}

// after is that after one more answer, or failure.
func (f failing) after(why string, now time.Time) failing {
	switch {
	case why == "":
		return failing{}
	case f.times == 0:
		return failing{why, 1, now}
	}
	return failing{why, f.times + 1, f.since}
}

// fail logs a store's failure once, until it changes or ends.
func (b *storeBook) fail(err error) {
	text := ""
	if err != nil {
		text = err.Error()
		b.a.metrics.storeError()
	}
	b.mu.Lock()
	changed := text != b.failing.why
	b.failing = b.failing.after(text, time.Now())
	b.mu.Unlock()
	if changed && err != nil {
		b.a.log.Warn("the store does not answer as it should", "error", err)
	}
}

// trouble is how the store fails; one failure alone is told to nobody.
func (b *storeBook) trouble() failing {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing.times < 2 {
		return failing{}
	}
	return b.failing
}

// isFailing says that the store did not answer when it was last asked.
func (b *storeBook) isFailing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failing.times > 0
}
