package main

import (
	"fmt"
	"path/filepath"

	"github.com/quorate/quorate/internal/seal"
)

// backupKeygen makes keys; no key is ever written over.
type backupKeygen struct {
	Dir string `arg:"" placeholder:"DIR" help:"Where to write them: identity.txt and sign.pem, which are secret, recipient.txt and verify.pem, which are not."`
}

func (c *backupKeygen) Run(to streams) error {
	if err := seal.Generate(c.Dir); err != nil {
		return usage{fmt.Errorf("dir: %w", err)}
	}
	fmt.Fprintf(to.out, `--backup-recipient "$(cat %s)" --backup-identity-file %s --backup-sign-key-file %s
`, filepath.Join(c.Dir, "recipient.txt"), filepath.Join(c.Dir, "identity.txt"), filepath.Join(c.Dir, "sign.pem"))
	fmt.Fprintf(to.err, `Keep a copy of %s where no loss of these machines can reach it: without it no backup can be read.
Who only restores needs %s in place of sign.pem, as --backup-verify-key-file.
`, filepath.Join(c.Dir, "identity.txt"), filepath.Join(c.Dir, "verify.pem"))
	return nil
}
