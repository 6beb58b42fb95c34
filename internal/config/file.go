package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/smallfile"
)

// BeforeResolve is kong's call after flags and environment: it reads the file.
// What is wrong in it is kept for Validate, to be told with the other problems.
func (c *Config) BeforeResolve(ctx *kong.Context, s *slips) error {
	known, err := keys(c)
	if err != nil {
		return err
	}
	c.byFlag, c.unread = map[string]bool{}, nil
	for _, p := range ctx.Path {
		if p.Flag != nil {
			c.byFlag[p.Flag.Name] = true
		}
	}
	c.unread = s.problems(c.byFlag)
	path := configPath(ctx)
	if path == "" {
		return nil
	}
	values, problems := readFile(path, known)
	c.unread = append(c.unread, problems...)
	ctx.AddResolver(fileValues(values))
	return nil
}

// AfterApply is kong's call when every value is set.
func (c *Config) AfterApply() error {
	known, err := keys(c)
	if err != nil {
		return err
	}
	c.asRead = map[string]any{}
	for name, flag := range known {
		c.asRead[name] = flag.Target.Interface()
	}
	return nil
}

// configPath is --config of the chosen command, not yet applied to Config.
func configPath(ctx *kong.Context) string {
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	for _, flag := range node.Flags {
		if flag.Name == "config" {
			path, _ := ctx.FlagValue(flag).(string)
			return path
		}
	}
	return ""
}

// keys are the settings of c by name, each with c's own field as its target.
func keys(c *Config) (map[string]*kong.Flag, error) {
	app, err := kong.New(c, kong.NoDefaultHelp())
	if err != nil {
		return nil, fmt.Errorf("building the configuration: %w", err)
	}
	known := map[string]*kong.Flag{}
	for _, flag := range app.Model.Flags {
		if flag.Name != "config" { // a file does not name another
			known[flag.Name] = flag
		}
	}
	return known, nil
}

// fileValues are a file's values, already of the types that kong takes.
type fileValues map[string]any

// Validate has nothing to do: readFile has checked the values.
func (fileValues) Validate(*kong.Application) error { return nil }

// Resolve gives way to the environment. Kong itself prefers the command line.
func (v fileValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	return v[flag.Name], nil
}

// readFile reads what it can and says everything that is wrong with the rest.
func readFile(path string, known map[string]*kong.Flag) (fileValues, []error) {
	data, err := smallfile.ReadAny(path)
	if err != nil {
		return nil, []error{fmt.Errorf("config: %w", err)}
	}
	pairs, err := parseYAML(data)
	if err != nil {
		return nil, []error{fmt.Errorf("config: %s: %w", path, err)}
	}
	values, seen := fileValues{}, map[string]bool{}
	var problems []error
	say := func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: "+format+", in %s", append(append([]any{key}, args...), path)...))
	}
	for _, pair := range pairs {
		key := fmt.Sprint(pair.Key)
		flag, ok := known[key]
		switch {
		case !ok:
			say(key, "unknown key%s", suggestion(key, known))
			continue
		case seen[key]:
			say(key, "given twice")
			continue
		}
		seen[key] = true
		value, err := convert(pair.Value, flag)
		if err != nil {
			say(key, "%w", err)
			continue
		}
		values[key] = value
	}
	return values, problems
}

func parseYAML(data []byte) (pairs yaml.MapSlice, err error) {
	defer func() {
		if r := recover(); r != nil { // a bad file must not look like a bug of ours
			pairs, err = nil, fmt.Errorf("parsing YAML: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.AllowDuplicateMapKey())
	switch err := dec.Decode(&pairs); {
	case errors.Is(err, io.EOF): // nothing in it is nothing set
		return nil, nil
	case err != nil:
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return pairs, nil
}

// convert is strict about types: 010 for a name or 3.5 for a size is a slip.
func convert(value any, flag *kong.Flag) (any, error) {
	if value == nil {
		return nil, errors.New("has no value")
	}
	shown := fmt.Sprint(value)
	if isText(value) {
		shown = strconv.Quote(shown)
	}
	wrong := fmt.Errorf("%s, got %s", wanted(flag.Target.Interface()), shown)
	switch flag.Target.Interface().(type) {
	case bool:
		if b, ok := value.(bool); ok {
			return b, nil
		}
		return nil, wrong
	case int, Size:
		n, err := strconv.Atoi(fmt.Sprint(value))
		_, sized := flag.Target.Interface().(Size)
		switch {
		case err == nil && !isText(value):
			return strconv.Itoa(n), nil
		case sized && value == "auto":
			return value, nil
		}
		return nil, wrong
	case time.Duration:
		text := fmt.Sprint(value)
		if d, err := time.ParseDuration(text); err == nil && (isText(value) || d == 0) {
			return text, nil
		}
		return nil, wrong
	case Words:
		return words(value)
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	return nil, fmt.Errorf("want text, got %v; put it in quotes", value)
}

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

func words(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("want a list, got %#v", value)
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			return nil, fmt.Errorf("want a list of text, got %v in it; put it in quotes", item)
		}
	}
	return out, nil
}

// suggestion is the known key nearest to a wrong one, if one is near.
func suggestion(key string, known map[string]*kong.Flag) string {
	best, least := "", len(key)/3+2
	for name := range known {
		d := distance(strings.ReplaceAll(strings.ToLower(key), "_", "-"), name)
		if d < least || (d == least && best != "" && name < best) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{change, row[j] + 1, row[j+1] + 1})
		}
	}
	return row[len(b)]
}
