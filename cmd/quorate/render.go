package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/etcd"
)

// render prints etcd's settings for people who run etcd themselves: env for a
// shell's eval or an EnvironmentFile, dropin for systemd, flags for
// `etcd $(quorate explain -o flags)`. Each value is read as it is, or refused.
func render(format string, settings []etcd.Setting) (string, error) {
	var words []string
	for _, s := range settings {
		word, err := say(format, s)
		if err != nil {
			return "", err
		}
		words = append(words, word)
	}
	switch format {
	case "flags":
		return strings.Join(words, " ") + "\n", nil
	case "dropin":
		words = append([]string{"[Service]"}, words...)
	}
	return strings.Join(words, "\n") + "\n", nil
}

func say(format string, s etcd.Setting) (string, error) {
	switch {
	case strings.ContainsAny(s.Value, "\n\r\x00"):
		return "", fmt.Errorf("%s: the value holds a line break, which %s cannot say", s.Flag, format)
	case format == "flags" && !unchanged(urlHost.ReplaceAllString(s.Value, "://")):
		return "", fmt.Errorf("%s: %q cannot be said as a flag in $(…): use -o env or -o dropin", s.Flag, s.Value)
	case format == "flags":
		return "--" + s.Flag + "=" + s.Value, nil
	case strings.ContainsFunc(s.Value, unprinted) || !utf8.ValidString(s.Value):
		return "", fmt.Errorf("%s: %q holds what systemd lets no variable hold", s.Flag, s.Value)
	case format == "dropin":
		return fmt.Sprintf(`Environment="%s=%s"`, s.Env(), systemdQuote(s.Value)), nil
	}
	return s.Env() + "=" + envQuote(s.Value), nil
}

// urlHost is an IPv6 address in a URL. In the words of $(…) a shell takes its
// brackets for a pattern, and leaves it as it is unless a file matches: one named
// --FLAG=… and a colon, in a directory named --FLAG=http: and so on. Nobody has
// that, though bash's nullglob and failglob do not care.
var urlHost = regexp.MustCompile(`://\[[0-9A-Fa-f:.]+\]`)

// unchanged says that no shell changes v, quoted or not. Of the words of $(…) it takes
// no quotes off.
func unchanged(v string) bool {
	return strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") == ""
}

func unprinted(r rune) bool { return r != '\t' && unicode.IsControl(r) }

// envQuote is for a shell and an EnvironmentFile alike: between double quotes
// both take these escapes and no other. Single quotes they read each in its own way.
func envQuote(v string) string {
	if v != "" && unchanged(v) {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(v) + `"`
}

// systemdQuote escapes for a double-quoted Environment= value: backslashes,
// quotes, and the percent sign, which begins a specifier.
func systemdQuote(v string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(v)
}
