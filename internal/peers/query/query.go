// Package query reads the options after the question mark of a peers source,
// and says everything that is wrong with them at once.
package query

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query are the options not yet taken, and what was wrong with those that were.
type Query struct {
	left     url.Values
	known    []string
	problems []error
}

// Of takes u's options. Their values are not shown in errors: some name secrets.
func Of(u *url.URL) *Query {
	q := &Query{}
	var err error
	if q.left, err = url.ParseQuery(u.RawQuery); err != nil {
		q.left, q.problems = url.Values{}, []error{errors.New("options: want key=value&key=value, each escaped as in a URL")}
	}
	return q
}

// Text is the option's value; empty when it is not given.
func (q *Query) Text(key string) string {
	q.known = append(q.known, key)
	values := q.left[key]
	delete(q.left, key)
	if len(values) > 1 {
		q.problems = append(q.problems, fmt.Errorf("%s: given %d times", key, len(values)))
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Duration is a time of at least low; usual when it is not given.
func (q *Query) Duration(key string, usual, low time.Duration) time.Duration {
	text := q.Text(key)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < low {
		q.Refuse(key, "want a time of at least %s, as 10s", low)
	}
	return d
}

// Count is a number of 1 or more; 0 when it is not given.
func (q *Query) Count(key string) int {
	text := q.Text(key)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		q.Refuse(key, "want a number, 1 or more")
	}
	return n
}

// OneOf is one of the choices; the first when it is not given.
func (q *Query) OneOf(key string, choices ...string) string {
	text := q.Text(key)
	switch {
	case text == "":
		return choices[0]
	case !slices.Contains(choices, text):
		q.Refuse(key, "want %s", strings.Join(choices, ", "))
	}
	return text
}

// Refuse notes what is wrong with an option.
func (q *Query) Refuse(key, format string, args ...any) {
	q.problems = append(q.problems, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// Err is all that was wrong, an option that nobody took too.
func (q *Query) Err() error {
	for _, key := range slices.Sorted(maps.Keys(q.left)) {
		q.problems = append(q.problems, fmt.Errorf("option %q: want %s", key, strings.Join(q.known, ", ")))
	}
	return errors.Join(q.problems...)
}
