package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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

// Strict takes exactly one JSON value, without a key that into does not have.
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
	return nil
}
