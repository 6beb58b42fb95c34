package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// local are the keys whose problems are about the machine that looks, beside
// all that name a file: on another machine they say nothing.
var local = []string{"data-dir", "etcd-data-dir", "etcd", "listen-host"}

// ValidateElsewhere is Validate for an agent that will run on another machine:
// without what depends on this one.
func (c Config) ValidateElsewhere() []error {
	return slices.DeleteFunc(c.Validate(), func(err error) bool {
		key, _, _ := strings.Cut(err.Error(), ":")
		return slices.Contains(local, key) || strings.HasSuffix(key, "-file")
	})
}

// Given are the settings of c that are not the defaults, by their keys.
func (c Config) Given() (map[string]any, error) {
	c = c.clone()
	c.takeArgs()
	all, err := keys(&c)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, flag := range all {
		usual, err := defaultOf(flag)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		empty := flag.Target.Kind() == reflect.Slice && flag.Target.Len() == 0
		if value := flag.Target.Interface(); !empty && !reflect.DeepEqual(value, usual) {
			out[name] = value
		}
	}
	return out, nil
}

// YAML is a file for --config that says what Given says.
func (c Config) YAML() ([]byte, error) {
	given, err := c.Given()
	if err != nil {
		return nil, err
	}
	var file yaml.MapSlice
	for _, name := range slices.Sorted(maps.Keys(given)) {
		file = append(file, yaml.MapItem{Key: name, Value: inFile(given[name])})
	}
	if len(file) == 0 {
		return []byte("{}\n"), nil
	}
	return yaml.MarshalWithOptions(file, yaml.IndentSequence(true))
}

// inFile is a value as convert reads it: numbers, booleans and lists as they
// are, all else as text.
func inFile(value any) any {
	switch v := value.(type) {
	case bool, int, string:
		return v
	case Words:
		return []string(v)
	case Size:
		if v != Auto {
			return int(v)
		}
	}
	return fmt.Sprint(value)
}

// defaultOf is the value of a setting that nobody has given.
func defaultOf(flag *kong.Flag) (any, error) {
	v := reflect.New(flag.Target.Type()).Elem()
	if flag.HasDefault {
		scan := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: flag.Default})
		if err := flag.Parse(scan, v); err != nil {
			return nil, err
		}
	}
	return v.Interface(), nil
}
