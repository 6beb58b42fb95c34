#!/bin/bash
# certify: a key of this machine's own, made once, and a certificate for its
# addresses by the cluster's authority, made anew each time. The authority's
# key is never on a disk here.
set -euo pipefail
umask 077
. "${SETUP_CONF:-/etc/quorate/setup.conf}"
dir=${TLS_DIR:-/etc/quorate/tls}
owner=${TLS_OWNER:-quorate}
imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
mkdir -p "$dir"
new=$(mktemp -d "$dir/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT

token=$(curl -fsS -m 5 --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token")
metadata() { curl -fsS -m 5 --retry 5 -H "X-aws-ec2-metadata-token: $token" "$imds/latest/meta-data/$1"; }
parameter() { aws ssm get-parameter --with-decryption --name "$TLS_PATH/$1" --query Parameter.Value --output text; }

id=$(metadata instance-id)
names="DNS:localhost,IP:127.0.0.1,IP:$(metadata local-ipv4)"
if public=$(metadata public-ipv4 2>/dev/null); then names+=",IP:$public"; fi
for name in $TLS_NAMES; do names+=",DNS:$name"; done
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n' "$names" >"$new/ext"

parameter ca.crt >"$new/ca.crt"
[ -s "$dir/node.key" ] || { openssl ecparam -name prime256v1 -genkey -noout -out "$new/node.key"; mv "$new/node.key" "$dir/node.key"; }
openssl req -new -key "$dir/node.key" -subj "/CN=$id" -out "$new/csr"
# Read whole first: openssl stops reading at the key's last line, and whoever still writes then fails.
authority=$(parameter ca.key)
printf '%s\n' "$authority" | openssl x509 -req -sha256 -days 90 -in "$new/csr" -CA "$new/ca.crt" -CAkey /dev/stdin \
  -set_serial "0x$(openssl rand -hex 16)" -extfile "$new/ext" -out "$new/node.crt" 2>/dev/null
openssl verify -CAfile "$new/ca.crt" "$new/node.crt" >/dev/null
chown -R "$owner:" "$dir" "$new"
mv -f "$new/ca.crt" "$new/node.crt" "$dir/"
