package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// FromJSON reads a list with the peers file's keys, written as JSON. It is as
// strict: all of the entries, or an error with every problem. An empty list is
// an error.
func FromJSON(data []byte, ports entry.Ports) ([]cluster.Peer, error) {
	var items []*item
	if err := Strict(data, &items); err != nil {
		return nil, err
	}
	return peersOf(items, ports)
}

// Strict takes exactly one JSON value, without a key that into does not have, and
// without one that is there twice: of those, Go would take the last.
func Strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("empty")
		}
		return fmt.Errorf("parsing JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("parsing JSON: more than one value")
	}
	return once(data)
}

// once wants each key of an object, at any depth, there once. Go takes keys in
// small and capital letters alike, so that these are the same here too.
func once(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var open []map[string]bool // the keys so far of what is open; nil: a list
	key := false               // the next token is a key, or the object's end
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parsing JSON: %w", err)
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
		case string:
			if seen := strings.ToLower(t); key && open[len(open)-1][seen] {
				return fmt.Errorf("parsing JSON: %q is there twice", t)
			} else if key {
				open[len(open)-1][seen] = true
				key = false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}
