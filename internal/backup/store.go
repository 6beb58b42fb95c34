package backup

import (
	"context"
	"io"

	"github.com/quorate/quorate/internal/store"
)

// Store is the part of store.Store that backups need; that is where the whole
// contract stands. Keys are relative to the cluster's own prefix.
type Store interface {
	// Create writes an object only if it is absent, else it is store.ErrExists.
	Create(ctx context.Context, key string, data []byte) error
	// Read and NewReader say store.ErrNotFound only when it is proven that
	// there is no such object.
	Read(ctx context.Context, key string) ([]byte, error)
	NewReader(ctx context.Context, key string) (io.ReadCloser, error)
	// Upload streams an object in and returns its size. An error of the
	// reader fails the upload, and a failed upload leaves no object.
	Upload(ctx context.Context, key string, r io.Reader) (int64, error)
	// Delete is content when the object is not there.
	Delete(ctx context.Context, key string) error
	// List holds every object under the prefix, or is an error.
	List(ctx context.Context, prefix string) ([]store.Object, error)
}
