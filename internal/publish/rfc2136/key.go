package rfc2136

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/publish"
)

// KeyVariable holds a TSIG key as algorithm:name:secret.
const KeyVariable = "QUORATE_DNS_TSIG"

// Key is a TSIG key. It prints as its name.
type Key struct{ name, algorithm, secret string }

func (k Key) String() string   { return k.name }
func (k Key) GoString() string { return k.name }

// ReadKey reads a key from a file as tsig-keygen writes it (BIND's key
// statement) or that holds algorithm:name:secret; without a file, from the
// variable's value. Its error never tells the secret, wherever it was put.
func ReadKey(file, variable string) (Key, error) {
	if file == "" && variable == "" {
		return Key{}, fmt.Errorf("no TSIG key: give key-file=/path, or set %s to algorithm:name:secret", KeyVariable)
	}
	from, text := KeyVariable, variable
	if file != "" {
		raw, err := publish.ReadCredential("key-file", file)
		if err != nil {
			return Key{}, err
		}
		from, text = file, string(raw)
	}
	k, err := parseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("reading the TSIG key of %s: %w", from, err)
	}
	return k, nil
}

var (
	comments  = regexp.MustCompile(`(?m)(#|//).*$`)
	statement = regexp.MustCompile(`(?s)^key\s+"?([^"\s{]+)"?\s*\{([^{}]*)\}\s*;?$`)
	clause    = regexp.MustCompile(`(algorithm|secret)\s+"?([^";\s]+)"?\s*;`)
)

func parseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	var k Key
	// A secret may hold //, and only a statement has comments.
	if strings.HasPrefix(text, "key") || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") {
		m := statement.FindStringSubmatch(strings.TrimSpace(uncommented(text)))
		if m == nil {
			return Key{}, errors.New(`want one statement: key "name" { algorithm hmac-sha256; secret "…"; };`)
		}
		k.name = m[1]
		for _, c := range clause.FindAllStringSubmatch(m[2], -1) {
			if c[1] == "algorithm" {
				k.algorithm = c[2]
			} else {
				k.secret = c[2]
			}
		}
	} else if f := strings.Split(text, ":"); len(f) == 3 {
		k = Key{name: f[1], algorithm: f[0], secret: f[2]}
	}
	return k.checked()
}

// uncommented drops comments that begin a line.
func uncommented(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if at := comments.FindStringIndex(strings.TrimSpace(line)); at == nil || at[0] > 0 {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

var algorithms = []string{dns.HmacSHA256, dns.HmacSHA512, dns.HmacSHA384, dns.HmacSHA224, dns.HmacSHA1}

func (k Key) checked() (Key, error) {
	k.name, k.algorithm = dns.CanonicalName(k.name), dns.CanonicalName(k.algorithm)
	raw, err := base64.StdEncoding.DecodeString(k.secret)
	switch {
	case k.name == "." || k.secret == "":
		return Key{}, errors.New("want algorithm:name:secret, or a key statement as tsig-keygen writes it")
	case err != nil || len(raw) == 0:
		return Key{}, errors.New("the secret is not base64")
	}
	for _, a := range algorithms {
		if a == k.algorithm {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("algorithm %q: want hmac-sha256, or another hmac-sha", strings.TrimSuffix(k.algorithm, "."))
}

func (k Key) sign(m *dns.Msg) { m.SetTsig(k.name, k.algorithm, 300, time.Now().Unix()) }

func (k Key) secrets() map[string]string { return map[string]string{k.name: k.secret} }
