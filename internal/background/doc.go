// Package background runs work that must not slow etcd down: what streams and
// packs gigabytes beside it takes only what the processors and the disk have to
// spare.
package background

// Do runs work on a thread of its own, at the lowest priority for processors
// and disk, and returns when work has. Processes that work starts inherit it;
// goroutines that it starts do not.
func Do(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		yield()
		work()
	}()
	<-done
}
