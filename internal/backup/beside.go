package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// vouching is how much of etcd's stream must still come after its file has
	// been read: more than can be under way in buffers (gRPC's flow control
	// allows 16 MiB at most), so that it proves that etcd's read transaction
	// was open until then.
	vouching = 20 << 20
	// worthwhile is how many times that the smallest database has whose file is
	// read: the stream of a smaller one could end, with its transaction, before.
	worthwhile = 4
)

// Beside is a source whose member keeps its database in a file of this machine.
// Its snapshots are read from that file, which costs etcd nothing, while
// etcd's own stream of it stands still: it holds the read transaction open
// within which no page of the snapshot is written over. bbolt makes the stream
// in the same way. Where the file is not to be had, is another's, or is small,
// the snapshot is the stream.
func Beside(src Source, db string) Source { return beside{src, db, vouching} }

type beside struct {
	Source
	db    string
	vouch int64
}

func (s beside) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	stream, err := s.Source.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	head, err := headOf(stream)
	if err != nil { // the packer says what is wrong with it
		return readCloser{io.MultiReader(bytes.NewReader(head), failed{err}), stream}, nil
	}
	if f := s.open(head); f != nil {
		return &besideStream{stream: stream, file: f, head: head, size: sizeOf(head), vouch: s.vouch}, nil
	}
	return readCloser{io.MultiReader(bytes.NewReader(head), stream), stream}, nil
}

// headOf reads the first two pages of a stream, or what there is of them with
// the error that came instead.
func headOf(stream io.Reader) ([]byte, error) {
	start := make([]byte, pageHeader+metaSize)
	n, err := io.ReadFull(stream, start)
	if err != nil {
		return start[:n], err
	}
	if soundMeta(metaOf(start)) != nil {
		return start, nil // judged by open
	}
	head := make([]byte, 2*pageSize(start))
	n, err = io.ReadFull(stream, head[copy(head, start):])
	return head[:len(start)+n], err
}

func metaOf(head []byte) []byte { return head[pageHeader : pageHeader+metaSize] }

func pageSize(head []byte) int64 { return int64(native.Uint32(metaOf(head)[8:])) }

// sizeOf is the whole snapshot's: up to the first page that was never used.
func sizeOf(head []byte) int64 {
	return int64(native.Uint64(metaOf(head)[metaHighest:])) * pageSize(head)
}

// open gives the file that the stream is of; nil if it is not certain, or not
// worthwhile. The file's meta of the stream's transaction is there until the
// second commit after it: etcd makes one each 100 ms at most.
func (s beside) open(head []byte) *os.File {
	if soundMeta(metaOf(head)) != nil || sizeOf(head) < worthwhile*s.vouch {
		return nil
	}
	f, err := os.Open(s.db)
	if err != nil {
		return nil
	}
	for _, at := range []int64{pageHeader, pageSize(head) + pageHeader} {
		meta, err := headAt(f, at)
		if err == nil && bytes.Equal(meta, metaOf(head)) {
			return f
		}
	}
	f.Close()
	return nil
}

// besideStream is etcd's stream, all of it but the first two pages read from the
// file.
type besideStream struct {
	stream   io.ReadCloser // stands still meanwhile
	file     *os.File
	head     []byte
	at, size int64
	vouch    int64
	proven   bool
}

func (b *besideStream) vouchedSize() int64 { return b.size }

func (b *besideStream) Read(p []byte) (n int, err error) {
	switch {
	case b.at < int64(len(b.head)):
		n = copy(p, b.head[b.at:])
	case b.at < b.size:
		n, err = b.file.ReadAt(p[:min(int64(len(p)), b.size-b.at)], b.at)
	case !b.proven:
		err = b.prove()
	}
	b.at += int64(n)
	switch {
	case err == io.EOF:
		return n, fmt.Errorf("%w: etcd's file ends after %d bytes of %d", ErrDamaged, b.at, b.size)
	case err == nil && b.proven:
		return n, io.EOF
	}
	return n, err
}

// prove has the stream go on: its transaction was open while the file was read.
func (b *besideStream) prove() error {
	if _, err := io.CopyN(io.Discard, b.stream, b.vouch); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("etcd's stream has ended while its file was read: %w", err)
	}
	b.proven = true
	return nil
}

func (b *besideStream) Close() error { return errors.Join(b.stream.Close(), b.file.Close()) }

type readCloser struct {
	io.Reader
	io.Closer
}

// failed is a reader of an error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
