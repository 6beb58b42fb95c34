package tlsfiles

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/smallfile"
)

// Fingerprint hashes what authority files hold now, byte for byte, for a
// process that reads them once. An error says that one of them is gone or not
// wholly written, and that no process should be given them yet; the fingerprint
// is of what can be read all the same.
func Fingerprint(paths []string) (string, error) {
	all := sha256.New()
	var problems []error
	for _, path := range paths {
		pem, err := smallfile.Read(path)
		if err == nil {
			_, err = certificates(pem)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("reading the certificate authority %s: %w", path, err))
		}
		one := sha256.Sum256(pem)
		all.Write(one[:])
	}
	return hex.EncodeToString(all.Sum(nil)), errors.Join(problems...)
}
