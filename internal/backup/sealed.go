package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// ErrUntrusted says that what is stored is not signed by a trusted key, or is
// older than what a trusted key has signed last. Nothing is restored from it.
var ErrUntrusted = errors.New("not trusted")

// Sealed is the store with keys: what is written through it is encrypted and
// signed, and what is read is decrypted and must be authentic, as s says. With
// a nil s everything is plain and nothing is refused.
func Sealed(st Store, s *seal.Sealer) Store { return sealed{st, s} }

type sealed struct {
	Store
	keys *seal.Sealer
}

// Sealer is how the package finds the keys of a store.
func (s sealed) Sealer() *seal.Sealer { return s.keys }

// sealerOf is nil for a store without keys.
func sealerOf(st Store) *seal.Sealer {
	if s, ok := st.(interface{ Sealer() *seal.Sealer }); ok {
		return s.Sealer()
	}
	return nil
}

// manifestKind begins each signed message, so that a manifest's signature
// counts for nothing else.
const manifestKind = "quorate backup manifest v1\n"

// trailer is the second JSON document of a signed manifest's file. It signs the
// first one's bytes as they are, so no canonical form is needed.
type trailer struct {
	Signature []byte `json:"signature"` // ed25519, of manifestKind and the first document
}

// encodeManifest makes a manifest's file: the manifest, then its signature if
// the store signs.
func encodeManifest(b cluster.Backup, keys *seal.Sealer) ([]byte, error) {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, err
	}
	signature, err := keys.Sign(append([]byte(manifestKind), data...))
	if err != nil || signature == nil {
		return data, err
	}
	end, err := json.Marshal(trailer{signature})
	return append(append(data, '\n'), end...), err
}

// decodeManifest takes a manifest's file apart. Nonsense is ErrDamaged, what is
// not signed as it should be ErrUntrusted; other errors are of the key files.
func decodeManifest(data []byte, keys *seal.Sealer) (cluster.Backup, error) {
	var b cluster.Backup
	var end trailer
	in := json.NewDecoder(bytes.NewReader(data))
	if err := in.Decode(&b); err != nil {
		return cluster.Backup{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	body := data[:in.InputOffset()]
	if rest := data[in.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		if err := json.Unmarshal(rest, &end); err != nil {
			return cluster.Backup{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if err := trusted(keys.Verify(append([]byte(manifestKind), body...), end.Signature)); err != nil {
		return cluster.Backup{}, err
	}
	b.Log = cluster.LogEnd{} // no manifest says so
	return b, nil
}

// trusted makes a refused signature ErrUntrusted.
func trusted(err error) error {
	if errors.Is(err, seal.ErrUnsigned) || errors.Is(err, seal.ErrForged) {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return err
}
