package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
)

// What bbolt's file looks like, as far as it matters here: the first two pages
// each hold a header and a meta; the valid one of the higher transaction
// counts. Numbers are in the byte order of the machine.
const (
	pageHeader   = 16         // id uint64, flags uint16, count uint16, overflow uint32
	metaMagic    = 0xED0CDAED // magic uint32, version, page size, flags
	metaVersion  = 2
	metaFreelist = 32 // after the root bucket of two uint64
	metaHighest  = 40 // the first page that was never used
	metaTx       = 48
	metaChecksum = 56 // FNV-1a of all before
	metaSize     = 64
	freelistFlag = 0x10
	noFreelist   = math.MaxUint64
)

var native = binary.NativeEndian

// withEmptyFreelist tells a closed database that no page of it is free. etcd
// does not store which pages are, so whoever opens it reads every page to find
// out: the whole file, into resident memory. With an empty list stored, opening
// reads what is asked for and writing appends. Bbolt drops the list at the next
// commit under NoFreelistSync, and so etcd finds the free pages at its start.
// A list that is there is left alone. A crash leaves either.
func withEmptyFreelist(name string) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at, meta, err := newestMeta(f)
	if err != nil {
		return fmt.Errorf("reading the head of the database: %w", err)
	}
	if native.Uint64(meta[metaFreelist:]) != noFreelist {
		return nil
	}
	pageSize, id := int64(native.Uint32(meta[8:])), native.Uint64(meta[metaHighest:])
	list := make([]byte, pageSize)
	native.PutUint64(list, id)
	native.PutUint16(list[8:], freelistFlag)
	if _, err := f.WriteAt(list, int64(id)*pageSize); err != nil {
		return err
	}
	native.PutUint64(meta[metaFreelist:], id)
	native.PutUint64(meta[metaHighest:], id+1)
	native.PutUint64(meta[metaChecksum:], checksum(meta))
	_, err = f.WriteAt(meta, at)
	return err
}

// newestMeta finds the meta that counts and where it stands in the file.
func newestMeta(f *os.File) (at int64, newest []byte, err error) {
	first, err := headAt(f, pageHeader)
	if err != nil {
		return 0, nil, err
	}
	second := int64(native.Uint32(first[8:])) + pageHeader
	other, err := headAt(f, second)
	if err != nil {
		return 0, nil, err
	}
	if native.Uint64(other[metaTx:]) > native.Uint64(first[metaTx:]) {
		return second, other, nil
	}
	return pageHeader, first, nil
}

// headAt reads one meta. Both of a database that etcd has closed or sent are
// sound; one that is not is no database for us.
func headAt(f *os.File, at int64) ([]byte, error) {
	meta := make([]byte, metaSize)
	if _, err := f.ReadAt(meta, at); err != nil {
		return nil, err
	}
	return meta, soundMeta(meta)
}

// soundMeta refuses what is none.
func soundMeta(meta []byte) error {
	if native.Uint32(meta) != metaMagic || native.Uint32(meta[4:]) != metaVersion || native.Uint64(meta[metaChecksum:]) != checksum(meta) {
		return errors.New("it is not a bbolt database")
	}
	if size := native.Uint32(meta[8:]); size < 512 || size&(size-1) != 0 {
		return fmt.Errorf("its page size is %d", size)
	}
	return nil
}

func checksum(meta []byte) uint64 {
	h := fnv.New64a()
	h.Write(meta[:metaChecksum])
	return h.Sum64()
}
