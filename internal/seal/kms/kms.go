// Package kms opens an age identity that a cloud's key service has encrypted,
// so that no disk holds it in the clear:
//
//	awskms://alias/NAME?region=eu-central-1            (aws kms encrypt)
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K
//	azurekeyvault://VAULT.vault.azure.net/keys/NAME
//
// The file holds the service's own ciphertext, as its command line tool writes
// it. Credentials are the environment's, as for the store.
package kms

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"        // by their schemes
	_ "gocloud.dev/secrets/azurekeyvault" // likewise
	_ "gocloud.dev/secrets/gcpkms"        // likewise
)

var schemes = []string{"awskms", "gcpkms", "azurekeyvault"}

// Validate says whether the URL names a key, without asking any service.
func Validate(rawURL string) error {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil: // its text would repeat the URL
		return fmt.Errorf("want a URL, %s://…", strings.Join(schemes, "://…, "))
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("scheme %q: want one of %s", u.Scheme, strings.Join(schemes, ", "))
	case u.Host+u.Path == "":
		return fmt.Errorf("names no key: want as %s://…/KEY", u.Scheme)
	}
	return nil
}

// Unwrap returns what decrypts with that key, asking the service each time: a
// right that was taken away counts at once. The caller's context limits it.
func Unwrap(rawURL string) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, ciphertext []byte) ([]byte, error) {
		keeper, err := secrets.OpenKeeper(ctx, rawURL)
		if err != nil {
			return nil, fmt.Errorf("opening the key service: %w", err)
		}
		defer keeper.Close()
		text, err := keeper.Decrypt(ctx, ciphertext)
		if err != nil {
			return nil, fmt.Errorf("asking the key service: %w", err)
		}
		return text, nil
	}
}
