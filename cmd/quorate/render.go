package main

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/etcd"
)

// render prints etcd's settings for people who run etcd themselves: env for a
// shell's eval or an EnvironmentFile, dropin for systemd, flags for
// `etcd $(quorate explain -o flags)`.
func render(format string, settings []etcd.Setting) (string, error) {
	var b strings.Builder
	if format == "dropin" {
		b.WriteString("[Service]\n")
	}
	for i, s := range settings {
		switch {
		case strings.ContainsAny(s.Value, "\n\r\x00"):
			return "", fmt.Errorf("%s: the value holds a line break, which %s cannot say", s.Flag, format)
		case format == "env":
			fmt.Fprintf(&b, "%s=%s\n", s.Env(), shellQuote(s.Value))
		case format == "dropin":
			fmt.Fprintf(&b, "Environment=\"%s=%s\"\n", s.Env(), systemdQuote(s.Value))
		default:
			// Of a command substitution's words the shell takes no quotes off.
			if s.Value != shellQuote(s.Value) {
				return "", fmt.Errorf("%s: %q cannot be said as a flag in $(…): use -o env or -o dropin", s.Flag, s.Value)
			}
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString("--" + s.Flag + "=" + s.Value)
		}
	}
	if format == "flags" {
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// shellQuote leaves alone what no shell changes, and quotes the rest.
func shellQuote(v string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	if v != "" && strings.Trim(v, plain) == "" {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}

// systemdQuote escapes for a double-quoted Environment= value: backslashes,
// quotes, and the percent sign, which begins a specifier.
func systemdQuote(v string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(v)
}
