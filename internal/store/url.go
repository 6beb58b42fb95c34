package store

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// location is a parsed store URL.
type location struct {
	scheme string
	bucket string     // bucket, container, or name of a mem store
	dir    string     // file: absolute and clean
	prefix string     // no slash at either end
	query  url.Values // without prefix; one value each
}

// parameters are the query keys of each scheme: gocloud.dev's, and prefix. The
// value says that a key is a boolean.
var parameters = map[string]map[string]bool{
	"file": {"prefix": false, "create_dir": true},
	"mem":  {"prefix": false},
	"s3": {
		"prefix": false, "region": false, "endpoint": false, "profile": false, "role": false,
		"ssetype": false, "kmskeyid": false, "rate_limiter_capacity": false,
		"request_checksum_calculation": false, "response_checksum_validation": false,
		"anonymous": true, "dualstack": true, "fips": true, "accelerate": true, "hostname_immutable": true,
		"use_path_style": true, "s3ForcePathStyle": true, "disable_https": true,
	},
	"gs": {
		"prefix": false, "access_id": false, "private_key_path": false, "universe_domain": false,
		"anonymous": true, "grpc": true, "zonal": true,
	},
	"azblob": {
		"prefix": false, "domain": false, "protocol": false, "storage_account": false,
		"cdn": true, "localemu": true,
	},
}

// Validate says what is wrong with a store's URL, without looking at the
// store: an unknown scheme, a missing bucket, an unknown parameter, a relative
// directory. Its error never quotes a secret.
func Validate(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

func parse(raw string) (location, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The reason may quote any part of it: of a password with a slash, the half
		// before that is a port.
		return location{}, errors.New("not a URL: want file:///dir, s3://bucket, gs://bucket or azblob://container")
	}
	known, ok := parameters[u.Scheme]
	switch {
	case !ok:
		return location{}, fmt.Errorf("unknown scheme %q: want file:///dir, s3://bucket, gs://bucket or azblob://container", u.Scheme)
	case u.User != nil:
		return location{}, fmt.Errorf("%s: credentials do not belong in the URL", u.Scheme)
	case u.Fragment != "":
		return location{}, fmt.Errorf("%s: unexpected # in the URL", u.Scheme)
	}
	at := location{scheme: u.Scheme}
	if at.query, err = parseQuery(u, known); err != nil {
		return location{}, err
	}
	at.prefix = strings.Trim(at.query.Get("prefix"), "/")
	at.query.Del("prefix")
	if at.prefix != "" {
		if err := checkKey(at.prefix); err != nil {
			return location{}, fmt.Errorf("prefix: %w", err)
		}
	}
	return at.place(u)
}

// place finds the bucket or the directory.
func (at location) place(u *url.URL) (location, error) {
	if at.scheme == "file" {
		switch {
		case u.Opaque != "" || (u.Host != "" && u.Host != "localhost") || !path.IsAbs(u.Path):
			return location{}, errors.New("file: relative directory: want file:///dir, with three slashes")
		case path.Clean(u.Path) == "/":
			return location{}, errors.New("file: the root directory cannot be a store")
		}
		at.dir = path.Clean(u.Path)
		return at, nil
	}
	switch {
	case u.Opaque != "" || u.Host == "":
		return location{}, fmt.Errorf("%s: missing bucket: want %s://name", at.scheme, at.scheme)
	case u.Port() != "":
		return location{}, fmt.Errorf("%s: a bucket has no port", at.scheme)
	case strings.Trim(u.Path, "/") != "":
		return location{}, fmt.Errorf("%s: unexpected path %q: want %s://%s?prefix=%s",
			at.scheme, u.Path, at.scheme, u.Host, strings.Trim(u.Path, "/"))
	}
	at.bucket = u.Host
	return at, nil
}

func parseQuery(u *url.URL, known map[string]bool) (url.Values, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%s: malformed parameters", u.Scheme)
	}
	for key, values := range q {
		boolean, ok := known[key]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: unknown parameter %q", u.Scheme, key)
		case len(values) != 1:
			return nil, fmt.Errorf("%s: parameter %q is given %d times", u.Scheme, key, len(values))
		case boolean:
			if _, err := strconv.ParseBool(values[0]); err != nil {
				return nil, fmt.Errorf("%s: parameter %q is neither true nor false", u.Scheme, key)
			}
		}
	}
	return q, nil
}

// flag is a boolean parameter; parse has checked it.
func (at location) flag(key string) bool {
	v, _ := strconv.ParseBool(at.query.Get(key))
	return v
}

// String names the store for people: what tells it from another store, and
// nothing that could be a secret.
func (at location) String() string {
	shown := []string{}
	if at.prefix != "" {
		shown = append(shown, "prefix="+at.prefix)
	}
	for _, key := range []string{"region", "storage_account"} {
		if v := at.query.Get(key); v != "" {
			shown = append(shown, key+"="+v)
		}
	}
	s := at.scheme + "://" + at.bucket + at.dir
	if len(shown) > 0 {
		s += "?" + strings.Join(shown, "&")
	}
	return s
}

var clusterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func checkCluster(name string) error {
	if !clusterName.MatchString(name) || len(name) > 128 {
		return fmt.Errorf("cluster name %q: want letters, digits, dot, dash and underscore, at most 128", name)
	}
	return nil
}

// checkKey refuses keys that some store would bend: these must mean the same
// object everywhere and never leave the prefix.
func checkKey(key string) error {
	if key == "" || len(key) > 800 || !utf8.ValidString(key) {
		return fmt.Errorf("key %q: want 1 to 800 bytes of UTF-8", key)
	}
	for _, segment := range strings.Split(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("key %q has an empty or a dotted segment", key)
		}
	}
	// gocloud.dev writes control characters as __0x…__ and reads that back.
	if strings.Contains(key, "__0x") || slices.ContainsFunc([]rune(key), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("key %q has a control character or __0x", key)
	}
	return nil
}
