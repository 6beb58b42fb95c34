// Package seal makes what is stored of a cluster secret and authentic: age
// encryption as streams, ed25519 signatures over short messages. It knows
// nothing of backups or stores; those say what they seal.
//
// Secrets are in files alone: no value of a flag, no log line and no error of
// this package holds one. A Sealer keeps the names of the files and reads them
// at each use, so a changed key counts from the next use on.
//
//	age identities   as age-keygen writes them: AGE-SECRET-KEY-1…, one a line;
//	                 or those bytes encrypted by a key service (Keys.Unwrap)
//	signing key      PEM "PRIVATE KEY" (PKCS #8), as openssl genpkey -algorithm ed25519
//	verifying keys   PEM "PUBLIC KEY" (PKIX), one or more a file, as openssl pkey -pubout
//
// A nil *Sealer seals nothing: it writes plain text, signs with nothing and
// accepts everything, but says ErrNoIdentity of what it cannot read.
package seal
