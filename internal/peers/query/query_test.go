package query

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func read(raw string) (q *Query, every time.Duration, size int, ssl string) {
	q = Of(&url.URL{RawQuery: raw})
	return q, q.Duration("every", 2*time.Second, time.Second), q.Count("size"), q.OneOf("ssl", "auto", "true")
}

func TestTaken(t *testing.T) {
	q, every, size, ssl := read("")
	if q.Err() != nil || every != 2*time.Second || size != 0 || ssl != "auto" {
		t.Errorf("%v %v %v %v", q.Err(), every, size, ssl)
	}
	q, every, size, ssl = read("every=1m&size=3&ssl=true")
	if q.Err() != nil || every != time.Minute || size != 3 || ssl != "true" {
		t.Errorf("%v %v %v %v", q.Err(), every, size, ssl)
	}
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"every=1ms":         "every: want a time of at least 1s",
		"every=x":           "every: want",
		"size=0":            "size: want a number",
		"size=3&size=5":     "size: given 2 times",
		"ssl=no":            "ssl: want auto, true",
		"other=1":           `option "other": want every, size, ssl`,
		"size=%zz;password": "options: want key=value",
	} {
		q, _, _, _ := read(raw)
		if err := q.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
	}
	q, _, _, _ := read("every=x&size=x&ssl=x&y=z")
	if lines := strings.Count(q.Err().Error(), "\n"); lines != 3 {
		t.Errorf("not all problems at once: %v", q.Err())
	}
}
