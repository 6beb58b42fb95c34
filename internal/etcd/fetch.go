package etcd

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/durable"
)

const (
	fetchedDir = "binaries" // below quorate's directory: binaries/HASH/etcd

	// fetchLimit bounds one download, and fetchMost what it may hold.
	fetchLimit = 10 * time.Minute
	fetchMost  = 1 << 30
)

// CheckURL says what is wrong with an --etcd that is a URL: it must end in
// #sha256=, because what it names is run with all rights over the data.
func CheckURL(spec string) error {
	_, _, err := parseURL(spec)
	return err
}

func parseURL(spec string) (address, sum string, err error) {
	u, err := url.Parse(spec)
	if err != nil {
		return "", "", errors.New("not a URL") // the URL may hold a password
	}
	sum, found := strings.CutPrefix(u.Fragment, "sha256=")
	if raw, err := hex.DecodeString(sum); !found || err != nil || len(raw) != sha256.Size {
		return "", "", fmt.Errorf("%s: want #sha256= and 64 hexadecimal digits at the end, of what is there", redacted(u))
	}
	u.Fragment = ""
	return u.String(), strings.ToLower(sum), nil
}

func redacted(u *url.URL) string {
	bare := *u
	bare.Fragment, bare.RawQuery = "", ""
	return bare.Redacted()
}

// fetched is the path of the etcd that a URL names: an executable, or a
// release's .tar.gz that holds one. It is fetched once, and there whole or not
// at all.
func fetched(ctx context.Context, spec, dir string) (string, error) {
	address, sum, err := parseURL(spec)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, sum)
	binary := filepath.Join(dir, "etcd")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	u, _ := url.Parse(address)
	if err := fetchTo(ctx, address, sum, binary); err != nil {
		return "", fmt.Errorf("fetching %s: %w", redacted(u), err)
	}
	return binary, nil
}

// fetchTo leaves a temporary file behind when it is killed, which the next one
// replaces.
func fetchTo(ctx context.Context, address, sum, to string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	whole, err := os.Create(to + ".download")
	if err != nil {
		return err
	}
	defer os.Remove(whole.Name())
	defer whole.Close()
	if err := download(ctx, address, sum, whole); err != nil {
		return err
	}
	return putInPlace(whole, to)
}

// download writes what the URL answers and proves that it is what was meant.
func download(ctx context.Context, address, sum string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("not a URL")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may hold a password
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(resp.Body, fetchMost+1))
	switch {
	case err != nil:
		return err
	case n > fetchMost:
		return fmt.Errorf("it is larger than %d bytes", fetchMost)
	}
	return sameSum(h, sum)
}

func sameSum(h hash.Hash, want string) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("its sha256 is %s, and not the one that --etcd names", got)
	}
	return nil
}

// putInPlace makes the executable out of what was fetched, durably.
func putInPlace(whole *os.File, to string) error {
	if _, err := whole.Seek(0, io.SeekStart); err != nil {
		return err
	}
	content, err := executable(bufio.NewReader(whole))
	if err != nil {
		return err
	}
	part, err := os.OpenFile(to+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, content)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return durable.Rename(part.Name(), to)
}

// executable is the file itself, or the etcd in an archive.
func executable(r *bufio.Reader) (io.Reader, error) {
	if magic, err := r.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return r, nil
	}
	plain, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	for archive := tar.NewReader(plain); ; {
		switch h, err := archive.Next(); {
		case errors.Is(err, io.EOF):
			return nil, errors.New("the archive holds no file called etcd")
		case err != nil:
			return nil, fmt.Errorf("reading the archive: %w", err)
		case h.Typeflag == tar.TypeReg && path.Base(h.Name) == "etcd":
			return io.LimitReader(archive, fetchMost), nil
		}
	}
}
