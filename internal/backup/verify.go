package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/cluster"
)

// Verify streams the whole object and checks its and the database's size and
// hash. ErrDamaged is the backup's fault; any other error proves nothing.
func Verify(ctx context.Context, st Store, b cluster.Backup) error {
	if err := unpack(ctx, st, b, io.Discard); err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	return nil
}

// Best finds the newest backup of the cluster that verifies, reading no more
// objects than it must. Newer ones that do not are told as problems. Not found
// means that the whole store was read and holds none; whenever that cannot be
// known, it is an error. So is a best one that is older than what a trusted key
// has signed last (ErrUntrusted).
func Best(ctx context.Context, st Store, clusterName string) (b cluster.Backup, found bool, problems []Problem, err error) {
	return BestBy(ctx, st, clusterName, func(ctx context.Context, b cluster.Backup) error { return Verify(ctx, st, b) })
}

// BestBy is Best with another way to verify a backup, which errs as Verify does.
func BestBy(ctx context.Context, st Store, clusterName string, verify func(context.Context, cluster.Backup) error) (b cluster.Backup, found bool, problems []Problem, err error) {
	backups, problems, err := List(ctx, st)
	if err != nil {
		return cluster.Backup{}, false, nil, err
	}
	for _, b := range backups {
		if b.Cluster != clusterName {
			err = fmt.Errorf("it is of cluster %q", b.Cluster)
		} else if err = verify(ctx, b); err == nil {
			if err := notOlder(ctx, st, b, clusterName); err != nil {
				return cluster.Backup{}, false, problems, err
			}
			return b, true, problems, nil
		} else if !errors.Is(err, ErrDamaged) {
			return cluster.Backup{}, false, problems, err
		}
		problems = append(problems, Problem{Key: b.Key, Err: err})
	}
	return cluster.Backup{}, false, problems, nil
}
