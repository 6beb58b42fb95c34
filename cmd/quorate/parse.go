package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// checked is a command that can say what is wrong with its input.
type checked interface {
	problems(context.Context) []error
}

// parse parses the command line. kong ends at the first flag that it does not
// know or that lacks its value; this leaves it out and goes on, so that every
// such flag is named, and whatever else is wrong with the rest. A negative number
// is a value.
func parse(ctx context.Context, build func() (*kong.Kong, error), args []string) (*kong.Context, error) {
	var unknown []error
	for {
		k, err := build()
		if err != nil {
			return nil, err
		}
		parsed, err := k.Parse(args)
		if joined, ok := negative(args, err); ok {
			args = joined
			continue
		}
		rest, isUnknown := without(args, err)
		switch {
		case isUnknown:
			unknown, args = append(unknown, untold(err)), rest
			continue
		case len(unknown) == 0:
			return parsed, untold(err)
		case err != nil:
			return nil, errors.Join(append(unknown, untold(err))...)
		}
		if c, ok := parsed.Selected().Target.Addr().Interface().(checked); ok {
			unknown = append(unknown, c.problems(ctx)...)
		}
		return nil, errors.Join(unknown...)
	}
}

var (
	unknownFlag = regexp.MustCompile(`^unknown flag (-[^\s,]+)`)
	lacksValue  = regexp.MustCompile(`^(--[a-z0-9-]+): expected .* value but got "([^"]*)"`)
	number      = regexp.MustCompile(`^-[0-9.]`)
)

// flagLike is what may be told in the place of a value: a key in a file's place
// may not.
var flagLike = regexp.MustCompile(`^-{1,2}[a-z0-9][a-z0-9.-]{0,60}(=.*)?$`)

// untold is err without what begins with a dash and is no flag.
func untold(err error) error {
	if err == nil {
		return nil
	}
	if m := lacksValue.FindStringSubmatch(err.Error()); m != nil && !flagLike.MatchString(m[2]) {
		return fmt.Errorf("%s: want a value that does not begin with a dash, or %s=VALUE", m[1], m[1])
	}
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil && !flagLike.MatchString(m[1]) {
		return errors.New("an argument begins with a dash and is no flag")
	}
	return err
}

// negative is args with the flag and the negative number that follows it made
// one word, if that is what err is about.
func negative(args []string, err error) ([]string, bool) {
	if err == nil {
		return nil, false
	}
	m := lacksValue.FindStringSubmatch(err.Error())
	if m == nil || !number.MatchString(m[2]) {
		return nil, false
	}
	at := slices.Index(args, m[1])
	if at < 0 || at+1 == len(args) || args[at+1] != m[2] {
		return nil, false
	}
	return slices.Concat(args[:at], []string{m[1] + "=" + m[2]}, args[at+2:]), true
}

// without is args without the flag that err does not know, or whose value it
// misses.
func without(args []string, err error) ([]string, bool) {
	if err == nil {
		return nil, false
	}
	m := unknownFlag.FindStringSubmatch(err.Error())
	if m == nil {
		m = lacksValue.FindStringSubmatch(err.Error())
	}
	if m == nil {
		return nil, false
	}
	at := slices.IndexFunc(args, func(a string) bool { return a == m[1] || strings.HasPrefix(a, m[1]+"=") })
	if end := slices.Index(args, "--"); at < 0 || end >= 0 && at > end {
		return nil, false
	}
	past := at + 1
	if args[at] == m[1] && past < len(args) && !strings.HasPrefix(args[past], "-") {
		past++ // its value, most likely
	}
	return slices.Concat(args[:at], args[past:]), true
}
