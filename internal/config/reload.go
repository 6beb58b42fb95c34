package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ErrRestart is in an error about a changed key that a running agent cannot
// take over.
var ErrRestart = errors.New("needs a restart")

// live are the keys that may change while an agent runs.
var live = []string{
	"auto-recover", "backup-interval", "backup-keep", "backup-keep-daily", "backup-keep-hourly", "backup-keep-monthly", "backup-keep-weekly",
	"compaction-keep", "crash-limit", "dead-after", "defragment-below", "hash-check-interval", "join", "learner-patience", "log-level", "size", "surge-wait",
}

// Reload reads the file again. The Config that it returns has the new values
// of live keys, which changed names, sorted; all else is as it was. A key that
// the command line or the environment has set does not change.
//
// An error that is ErrRestart only reports keys, one error for each, and goes
// on doing so at each Reload; live changes beside them count. With any other
// error nothing has changed: c itself comes back.
func (c Config) Reload() (Config, []string, error) {
	if c.File == "" {
		return c, nil, nil
	}
	fresh, err := reread(c.File, c.byFlag)
	if err != nil {
		return c, nil, err
	}
	next := c.clone()
	into, err := keys(&next)
	if err != nil {
		return c, nil, err
	}
	var changed []string
	var stuck []error
	for name, flag := range into {
		value := fresh.asRead[name]
		if c.byFlag[name] || reflect.DeepEqual(value, c.asRead[name]) {
			continue
		}
		if !slices.Contains(live, name) {
			stuck = append(stuck, fmt.Errorf("%s: changed in %s: %w", name, c.File, ErrRestart))
			continue
		}
		flag.Target.Set(reflect.ValueOf(value))
		next.asRead[name] = value
		changed = append(changed, name)
	}
	if err := errors.Join(about(next.Validate(), changed)...); err != nil {
		return c, nil, err
	}
	slices.Sort(changed)
	slices.SortFunc(stuck, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return next, changed, errors.Join(stuck...)
}

// reread is the file and the environment without a command line; what is wrong
// in the environment with keys that one has set does not count.
func reread(path string, byFlag map[string]bool) (Config, error) {
	var fresh Config
	app, err := kong.New(&fresh, kong.NoDefaultHelp(), lenientBut(byFlag))
	if err != nil {
		return Config{}, fmt.Errorf("building the configuration: %w", err)
	}
	if _, err := app.Parse([]string{"--config=" + path}); err != nil {
		return Config{}, err
	}
	return fresh, errors.Join(fresh.unread...)
}

// about are the problems of these keys: what else has gone wrong since the
// start, as a certificate that has expired, is no reason to refuse a new size.
func about(all []error, changed []string) []error {
	return slices.DeleteFunc(all, func(err error) bool {
		key, _, _ := strings.Cut(err.Error(), ":")
		return !slices.Contains(changed, key)
	})
}
