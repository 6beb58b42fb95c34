package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that no log, error or encoding shows by accident.
type Secret struct{ text string }

// Reveal is the text itself, for the one who has to send it.
func (s Secret) Reveal() string { return s.text }

// Empty says that there is none.
func (s Secret) Empty() bool { return s.text == "" }

const redacted = "[redacted]"

func (Secret) String() string { return redacted }

// Format keeps every verb from looking inside.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what slog shows.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is what JSON and YAML show.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
