package etcd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// Whatever Args makes, the version that it is made for takes.
func TestArgsAreKnownToEveryVersion(t *testing.T) {
	files := TLSFiles{Cert: "c", Key: "k", CA: "a"}
	c := Config{Name: "a", DataDir: "/d", AdvertiseHost: "127.0.59.1", ClientPort: 1, PeerPort: 2, Client: files, Peer: files, ClientCertAuth: true}
	for _, version := range []string{etcdbin.V34, etcdbin.OldV35, etcdbin.V35, etcdbin.V36, etcdbin.V37} {
		bin := Binary{Path: etcdbin.Etcd(t, version)}
		v, err := bin.Check(limit(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		args := Args(v, c, Start{State: StateNew, InitialCluster: "a=https://127.0.59.1:2", Token: "t", ForceNewCluster: true})
		if _, err := bin.Check(limit(t), args); err != nil {
			t.Error(err)
		}
	}
}

func TestOffersOfADirectory(t *testing.T) {
	dir := etcdbin.Directory(t, etcdbin.V37, etcdbin.V35)
	write(t, filepath.Join(dir, "README"), "not a version")
	write(t, filepath.Join(dir, "empty", "etcdctl"), "not etcd")
	o, err := OpenOffers(limit(t), dir, t.TempDir(), []string{"--snapshot-count=7"})
	if err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.5.33 3.7.3")
	etcdbin.Add(t, dir, etcdbin.V36)
	if err := o.Refresh(limit(t)); err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.5.33 3.6.14 3.7.3")
	if c, ok := o.Exact(Version{Major: 3, Minor: 6, Patch: 14}); !ok || c.Binary.Path != filepath.Join(dir, "3.6.14", "etcd") {
		t.Errorf("3.6.14: %v %v", c, ok)
	}
	if c, ok := o.Exact(Version{Major: 3, Minor: 6, Patch: 13}); ok {
		t.Errorf("3.6.13: %v", c)
	}
	if c, ok := o.OfMinor(Version{Major: 3, Minor: 6}); !ok || c.Version.Patch != 14 || c.Command()[0] != c.Binary.Path {
		t.Errorf("3.6: %v %v", c, ok)
	}
	if c, ok := o.OfMinor(Version{Major: 3, Minor: 4, Patch: 1}); ok {
		t.Errorf("3.4: %v", c)
	}
	if c := o.Newest(); c.Version != sevenThree {
		t.Errorf("newest: %v", c)
	}
}

// A directory's name is a hint; the binary says what it is.
func TestOffersBelieveTheBinary(t *testing.T) {
	dir := etcdbin.Directory(t, etcdbin.V35)
	path := filepath.Join(dir, "3.5.33")
	if err := os.Rename(path, filepath.Join(dir, "3.6.14")); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOffers(limit(t), dir, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.5.33")
	if err := os.Remove(filepath.Join(dir, "3.6.14", "etcd")); err != nil {
		t.Fatal(err)
	}
	if err := o.Refresh(limit(t)); err == nil || !strings.Contains(err.Error(), "without a VERSION/etcd") {
		t.Errorf("of an empty directory: %v", err)
	}
	wantOffers(t, o, "3.5.33") // what was found last
	if err := os.Symlink(etcdbin.Etcd(t, etcdbin.V36), filepath.Join(dir, "3.6.14", "etcd")); err != nil {
		t.Fatal(err)
	}
	if err := o.Refresh(limit(t)); err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.6.14") // replaced in its place
}

// A version that does not know a flag is not offered, and says which; the
// others are. Where it is the only one, that is the error.
func TestOffersNameTheFlagAndTheVersion(t *testing.T) {
	flags := []string{"--enable-v2", "--experimental-initial-corrupt-check"}
	dir := etcdbin.Directory(t, etcdbin.V35, etcdbin.V36)
	write(t, filepath.Join(dir, "broken", "etcd"), "no program")
	o, err := OpenOffers(limit(t), dir, t.TempDir(), flags)
	if err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.5.33")
	var said []string
	for _, u := range o.Unfit() {
		said = append(said, fmt.Sprint(u.Version, " ", u.Err))
	}
	all := strings.Join(said, "\n")
	if len(said) != 2 || !strings.Contains(all, "3.6.14 etcd-flags: checking etcd's flags: etcd 3.6.14:") || !strings.Contains(all, "unknown flag --enable-v2") || !strings.Contains(all, filepath.Join("broken", "etcd")) {
		t.Errorf("unfit: %s", all)
	}
	_, err = OpenOffers(limit(t), BuiltInSpec, t.TempDir(), flags)
	if err == nil || !strings.Contains(err.Error(), "etcd 3.7.3: asking") || strings.Count(err.Error(), "etcd-flags:") != 2 {
		t.Errorf("built in: %v; want both flags named", err)
	}
}

func TestOffersOfOne(t *testing.T) {
	o, err := OpenOffers(limit(t), BuiltInSpec, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.7.3")
	if o, err = OpenOffers(limit(t), etcdbin.Etcd(t, etcdbin.V35), t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	wantOffers(t, o, "3.5.33")
	if _, err = OpenOffers(limit(t), filepath.Join(t.TempDir(), "etcd"), t.TempDir(), nil); err == nil || !strings.HasPrefix(err.Error(), "etcd: ") {
		t.Errorf("of nothing: %v", err)
	}
}

func wantOffers(t *testing.T, o *Offers, want string) {
	t.Helper()
	if got := strings.Trim(fmt.Sprint(o.Versions()), "[]"); got != want {
		t.Errorf("offers %s; want %s", got, want)
	}
}

// served is a server of a file, and how often it was asked.
func served(t *testing.T, content *[]byte) (url string, asked *int) {
	asked = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		if *content == nil {
			http.Error(w, "gone", http.StatusNotFound)
			return
		}
		_, _ = w.Write(*content)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/etcd?token=secret#sha256=", asked
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// release is an archive as etcd publishes them.
func release(t *testing.T, name string, content []byte) []byte {
	var buf bytes.Buffer
	zipped := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zipped)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"etcd-v3.5.33/README", []byte("read me")}, {name, content}} {
		if err := archive.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(f.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestOffersOfAURL: fetched once, by its hash, whole or not at all.
func TestOffersOfAURL(t *testing.T) {
	program, err := os.ReadFile(etcdbin.Etcd(t, etcdbin.V35))
	if err != nil {
		t.Fatal(err)
	}
	archive := release(t, "etcd-v3.5.33/etcd", program)
	for name, content := range map[string][]byte{"a program": program, "a release": archive} {
		dir := t.TempDir()
		url, asked := served(t, &content)
		spec := url + sumOf(content)
		for range 2 {
			o, err := OpenOffers(limit(t), spec, dir, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantOffers(t, o, "3.5.33")
		}
		if *asked != 1 {
			t.Errorf("%s: fetched %d times", name, *asked)
		}
	}
	for name, c := range map[string]struct {
		content []byte
		sum     string
		want    string
	}{
		"other content":         {program[:len(program)-1], sumOf(program), "not the one that --etcd names"},
		"nothing":               {nil, sumOf(program), "404"},
		"an archive without it": {release(t, "etcd/etcdctl", program), "", "no file called etcd"},
		"half an archive":       {archive[:len(archive)/2], "", "unexpected EOF"},
	} {
		dir := t.TempDir()
		url, _ := served(t, &c.content)
		if c.sum == "" {
			c.sum = sumOf(c.content)
		}
		_, err := OpenOffers(limit(t), url+c.sum, dir, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want %q and no secret", name, err, c.want)
		}
		left, err := os.ReadDir(filepath.Join(dir, "binaries", c.sum))
		if err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v %v", name, left, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	good := "https://example.org/etcd#sha256=" + strings.Repeat("aB", 32)
	if err := CheckURL(good); err != nil || !IsURL(good) {
		t.Errorf("%s: %v", good, err)
	}
	for _, bad := range []string{"https://u:secret@example.org/etcd?t=secret", good[:len(good)-1], good[:len(good)-2], "https://example.org/#md5=00", "http://[::1"} {
		if err := CheckURL(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
