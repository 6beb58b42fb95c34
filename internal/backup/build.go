package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// build makes data directories around one database, which fill writes to the
// name it is given: one that is checked, or never had a hash. On an error the
// directories are gone again.
func build(ctx context.Context, into []Target, fill func(db string) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer func() {
		for _, t := range into {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(t.DataDir))
			}
		}
	}()
	for _, t := range into {
		if err := plant(t); err != nil {
			return fmt.Errorf("building %s: %w", t.DataDir, err)
		}
	}
	if err := fill(newDB(into[0])); err != nil {
		return err
	}
	for i, t := range slices.Backward(into) { // the first last: the others copy from it
		if err := finish(ctx, t, newDB(into[0]), i > 0); err != nil {
			return fmt.Errorf("building %s: %w", t.DataDir, err)
		}
	}
	return context.Cause(ctx)
}

// newDB is where a target's database waits for its graft.
func newDB(t Target) string { return dbOf(t.DataDir) + ".new" }

func finish(ctx context.Context, t Target, db string, copied bool) error {
	if copied {
		if err := copyPaced(ctx, newDB(t), db); err != nil {
			return err
		}
	}
	if err := graft(newDB(t), t); err != nil {
		return err
	}
	return syncTree(t.DataDir)
}

func copyPaced(ctx context.Context, dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{&paced{f: out}}, struct{ io.Reader }{&remember{r: in, ctx: ctx}}, make([]byte, 1<<20))
	return errors.Join(err, out.Close())
}
