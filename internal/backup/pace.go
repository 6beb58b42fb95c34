package backup

import "os"

// paceEvery is how much is written before the disk is asked to begin with it.
const paceEvery = 8 << 20

// paced writes a file that will be synced, and has the disk begin with each
// part at once: the sync at the end then waits for the last part alone.
type paced struct {
	f              *os.File
	written, asked int64
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	p.written += int64(n)
	if p.written-p.asked >= paceEvery {
		beginWriting(p.f, p.asked, p.written-p.asked)
		p.asked = p.written
	}
	return n, err
}
