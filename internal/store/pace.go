package store

import "os"

// paceEvery is how much of a file is on its way to the disk at most, twice over:
// whoever else has something synced, an etcd on the same disk, waits for no more.
const paceEvery = 1 << 20

// paced writes a file that will be synced, part by part: the disk begins with
// each part at once, and is done with the one before by then. Else gigabytes
// wait in memory for the sync at the end, and everybody's sync with them.
type paced struct {
	f                    *os.File
	written, begun, done int64 // bytes: given, on their way, on the disk
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	p.written += int64(n)
	if p.written-p.begun >= paceEvery {
		beginWriting(p.f, p.begun, p.written-p.begun)
		awaitWritten(p.f, p.done, p.begun)
		p.done, p.begun = p.begun, p.written
	}
	return n, err
}
