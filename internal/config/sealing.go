package config

import (
	"path/filepath"
	"slices"

	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/seal/kms"
	"github.com/quorate/quorate/internal/store"
)

// Sealing is which keys seal and open what is stored of the cluster. Secrets
// are in files alone, which are read at each use.
type Sealing struct {
	BackupRecipient     Words  `env:"QUORATE_BACKUP_RECIPIENT" placeholder:"AGE1…" help:"Encrypt backups for this age recipient; may be repeated, and each can read them. Default: not encrypted. The identity is needed to restore: keep a copy of it away from these machines."`
	BackupIdentityFile  string `env:"QUORATE_BACKUP_IDENTITY_FILE" placeholder:"FILE" help:"age identities that decrypt backups, as age-keygen or quorate backup keygen writes them. A machine without one can back up, and cannot verify or restore."`
	BackupKMS           string `name:"backup-kms" env:"QUORATE_BACKUP_KMS" placeholder:"URL" help:"Key service that decrypts --backup-identity-file itself: awskms://alias/NAME?region=…, gcpkms://projects/…, azurekeyvault://…. Default: the file is plain."`
	BackupSignKeyFile   string `env:"QUORATE_BACKUP_SIGN_KEY_FILE" placeholder:"FILE" help:"PEM ed25519 private key that signs backups. With it, or with --backup-verify-key-file, backups that no trusted key has signed are refused, and a store whose newest signed backup is gone too. Default: not signed, not looked at."`
	BackupVerifyKeyFile Words  `env:"QUORATE_BACKUP_VERIFY_KEY_FILE" placeholder:"FILE" help:"PEM ed25519 public keys that are trusted too; may be repeated, so that keys can be changed."`
	BackupAllowUnsigned bool   `type:"setting" env:"QUORATE_BACKUP_ALLOW_UNSIGNED" aliases:"allow-unsigned" help:"Accept backups that nobody has signed, as those from before signing, and a store that has lost its newest ones. A wrong signature is refused all the same."`
}

// Keys are the keys as package seal takes them.
func (s Sealing) Keys() seal.Keys {
	k := seal.Keys{Recipients: slices.Clone(s.BackupRecipient), IdentityFile: s.BackupIdentityFile, SignKeyFile: s.BackupSignKeyFile,
		VerifyKeyFiles: slices.Clone(s.BackupVerifyKeyFile), AllowUnsigned: s.BackupAllowUnsigned}
	if s.BackupKMS != "" {
		k.Unwrap = kms.Unwrap(s.BackupKMS)
	}
	return k
}

// Sealer seals and opens with these keys; nil when there are none.
func (s Sealing) Sealer() *seal.Sealer { return seal.New(s.Keys()) }

func (s Sealing) check(p *problems) {
	*p = append(*p, s.Sealer().Check()...)
	if s.BackupKMS == "" {
		return
	}
	p.add("backup-kms", kms.Validate(s.BackupKMS))
	if s.BackupIdentityFile == "" {
		p.say("backup-identity-file", "not given, and backup-kms is")
	}
}

// paths are the files, to be made absolute.
func (s *Sealing) paths() []*string {
	all := []*string{&s.BackupIdentityFile, &s.BackupSignKeyFile}
	for i := range s.BackupVerifyKeyFile {
		all = append(all, &s.BackupVerifyKeyFile[i])
	}
	return all
}

// checkSealing is what only a node that takes backups can have wrong.
func (c Config) checkSealing(p *problems) {
	c.Sealing.check(p)
	if len(c.BackupVerifyKeyFile) > 0 && c.BackupSignKeyFile == "" && !c.BackupAllowUnsigned {
		p.say("backup-sign-key-file", "not given, and backup-verify-key-file is: this node would refuse its own backups")
	}
	if c.BackupCopy == "" {
		return
	}
	if c.Store == "" {
		p.say("store", "not given, and backup-copy is")
	}
	if c.BackupCopy == c.Store {
		p.say("backup-copy", "is store itself: want another")
	}
	p.add("backup-copy", validateStore(c.BackupCopy))
}

// warnings are what works and is probably not meant.
func (s Sealing) warnings() (all []string) {
	switch {
	case len(s.BackupRecipient) > 0 && s.BackupIdentityFile == "":
		all = append(all, "backup-identity-file: not given, and backup-recipient is: this node cannot verify or restore backups, so it cannot recover from a total loss by itself")
	case len(s.BackupRecipient) == 0 && s.BackupIdentityFile != "":
		all = append(all, "backup-recipient: not given, and backup-identity-file is: backups are written in plain text")
	}
	return all
}

// Stored is where a cluster's backups are and how they are sealed, for commands
// that read the store themselves, without any agent.
type Stored struct {
	Store   string `env:"QUORATE_STORE" group:"The store" placeholder:"URL" help:"Where the backups are, as for quorate run."`
	Cluster string `env:"QUORATE_CLUSTER" group:"The store" default:"quorate" placeholder:"NAME" help:"The cluster's name (default ${default})."`
	Sealing `group:"Keys"`
}

// Validate says everything that is wrong, each problem beginning with its key.
func (s Stored) Validate() []error {
	var p problems
	if s.Store == "" {
		p.say("store", "not given: want the --store of quorate run")
	} else {
		p.add("store", store.Validate(s.Store))
	}
	if !clusterName.MatchString(s.Cluster) {
		p.say("cluster", "%q: want 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit first", s.Cluster)
	}
	s.Sealing.check(&p)
	return p
}

// absolutePaths makes paths mean the same in whatever directory a process runs.
func absolutePaths(paths []*string) {
	for _, p := range paths {
		if abs, err := filepath.Abs(*p); err == nil && *p != "" {
			*p = abs
		}
	}
}
