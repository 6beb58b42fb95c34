package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/alecthomas/kong"
)

// slips are values of the command line and the environment that are not of
// their key's type. Kong itself would stop at the first; these wait for
// Validate, to be told with all other problems.
type slips struct {
	all []slip
	set map[string]bool // keys that an earlier command line has set
}

type slip struct {
	key         string
	environment bool
	err         error
}

// Lenient is what a kong whose commands embed Config is made with.
func Lenient() kong.Option { return lenientBut(nil) }

func lenientBut(set map[string]bool) kong.Option {
	s := &slips{set: set}
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(
			kong.NamedMapper("setting", lenient{s, kong.NewRegistry().RegisterDefaults()}).Apply(k),
			kong.Bind(s).Apply(k))
	})
}

// lenient reads the fields of Config that are of `type:"setting"`.
type lenient struct {
	slips *slips
	types *kong.Registry
}

// Decode notes a wrong value, and takes the default in its place, so that
// nothing else seems wrong on its account. A missing value is kong's to report.
func (l lenient) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	inner := l.types.ForType(target.Type())
	given := ctx.Scan.Peek()
	if !given.IsValue() {
		return inner.Decode(ctx, target)
	}
	err := inner.Decode(ctx, target)
	if err == nil {
		return nil
	}
	v := ctx.Value
	environment := v.Target.CanAddr() && target.CanAddr() && target.Addr().Pointer() == v.Target.Addr().Pointer()
	text := fmt.Sprintf("%s, got %q", wanted(target.Interface()), given.String())
	if environment && len(v.Tag.Envs) > 0 {
		text += ", in " + v.Tag.Envs[0]
	}
	l.slips.all = append(l.slips.all, slip{v.Name, environment, errors.New(v.Name + ": " + text)})
	if !v.HasDefault {
		target.SetZero()
		return nil
	}
	return inner.Decode(&kong.DecodeContext{Value: v, Scan: kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: v.Default})}, target)
}

// wanted is what a key of that type takes.
func wanted(value any) string {
	switch value.(type) {
	case bool:
		return "want true or false"
	case int:
		return "want a whole number"
	case Size:
		return "want a whole number or auto"
	case time.Duration:
		return "want a time with its unit, as 30s, 5m or 1h"
	}
	return "want text"
}

// problems are the slips, one a key, less those in the environment that the
// command line has set right.
func (s *slips) problems(byFlag map[string]bool) []error {
	var all []error
	var told []string
	for _, slip := range s.all {
		if slip.environment && (byFlag[slip.key] || s.set[slip.key]) || slices.Contains(told, slip.key) {
			continue
		}
		told = append(told, slip.key)
		all = append(all, slip.err)
	}
	return all
}
