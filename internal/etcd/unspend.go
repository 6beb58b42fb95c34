package etcd

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/quorate/quorate/internal/durable"
)

// Unspend takes MarkSpent back. Only for an etcd that has ended by itself
// before it wrote a log: it has voted for nobody.
func Unspend(dir, identity string) error {
	path := filepath.Join(dir, spentFile)
	var spent []string
	_, err := readJSON(path, &spent)
	var b []byte
	if err == nil {
		b, err = json.Marshal(slices.DeleteFunc(spent, func(s string) bool { return s == identity }))
	}
	if err == nil {
		err = durable.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("giving identity %s back: %w", identity, err)
	}
	return nil
}
