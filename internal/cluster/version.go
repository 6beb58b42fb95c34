package cluster

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Version is etcd's version; what follows a patch number is dropped. The zero
// value is "not known". It travels as "3.6.14".
type Version struct{ Major, Minor, Patch int }

var versionText = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)`)

// ParseVersion reads "3.7.3", "v3.7.3-rc.0" or etcd's "etcd Version: 3.7.3".
func ParseVersion(s string) (Version, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	m := versionText.FindStringSubmatch(line)
	if m == nil {
		return Version{}, fmt.Errorf("reading etcd's version from %q: want three numbers", line)
	}
	var v Version
	for i, part := range []*int{&v.Major, &v.Minor, &v.Patch} {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return Version{}, fmt.Errorf("reading etcd's version from %q: %w", line, err)
		}
		*part = n
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Zero says that the version is not known.
func (v Version) Zero() bool { return v == Version{} }

// Less orders versions by age.
func (v Version) Less(w Version) bool {
	return slices.Compare([]int{v.Major, v.Minor, v.Patch}, []int{w.Major, w.Minor, w.Patch}) < 0
}

// SameMinor says that v and w speak one protocol and one storage format.
func (v Version) SameMinor(w Version) bool { return v.Major == w.Major && v.Minor == w.Minor }

// MarshalText writes "3.6.14", and nothing for the zero value.
func (v Version) MarshalText() ([]byte, error) {
	if v.Zero() {
		return nil, nil
	}
	return []byte(v.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (v *Version) UnmarshalText(b []byte) error {
	*v = Version{}
	if len(b) == 0 {
		return nil
	}
	w, err := ParseVersion(string(b))
	if err == nil {
		*v = w
	}
	return err
}
