#!/bin/bash
# keys: what opens and signs the backups, from the parameter store into files
# that the agent alone can read.
set -euo pipefail
umask 077
. "${SETUP_CONF:-/etc/quorate/setup.conf}"
dir=${KEYS_DIR:-/etc/quorate/backup}
owner=${KEYS_OWNER:-quorate}
mkdir -p "$dir"
new=$(mktemp -d "$dir/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
parameter() { aws ssm get-parameter --with-decryption --name "$BACKUP_KEYS/$1" --query Parameter.Value --output text; }
parameter identity >"$new/identity"
parameter sign.key >"$new/sign.key"
chown -R "$owner:" "$dir"
mv -f "$new/identity" "$new/sign.key" "$dir/"
