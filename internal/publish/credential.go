package publish

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/quorate/quorate/internal/smallfile"
)

// ReadCredential reads the file that a parameter of the URL names.
func ReadCredential(parameter, path string) ([]byte, error) {
	raw, err := smallfile.ReadAny(path)
	if err != nil {
		return nil, fmt.Errorf("%w: want the path of a file", WithoutPath(parameter, err))
	}
	return raw, nil
}

// WithoutPath is what is wrong with a credential's file, by what names the file:
// people put the secret itself where its path should be, so that a path is not
// told. Errors about no file stay as they are.
func WithoutPath(key string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return fmt.Errorf("%s: %w", key, p.Err)
	}
	return err
}
