#!/bin/bash
# setup: all that a new machine does before its agent starts. When it fails,
# CloudFormation hears of it at once instead of waiting for its time limit.
set -Eeuo pipefail
. /etc/quorate/setup.conf
here=/usr/local/lib/quorate

failed() {
  trap - ERR
  local token id
  token=$(curl -fsS -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  id=$(curl -fsS -m 5 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
  echo "quorate: setup failed in line $1: the log above says why" >&2
  aws cloudformation signal-resource --stack-name "$STACK" --logical-resource-id "$GROUP" --unique-id "$id" --status FAILURE || true
  exit 1
}
trap 'failed $LINENO' ERR

id -u quorate >/dev/null 2>&1 || useradd --system --uid 2379 --no-create-home --home-dir /var/lib/quorate --shell /sbin/nologin quorate
"$here/volume"
chown quorate: /var/lib/quorate
chmod 0700 /var/lib/quorate
if [ -n "$IMAGE" ]; then
  dnf install -y -q docker
  systemctl enable --now docker
  docker pull -q "$IMAGE"
else
  "$here/fetch" "$BINARY_URL" "$BINARY_SHA256" /usr/local/bin/quorate
fi
if [ -n "$ETCD_URL" ]; then
  "$here/fetch" "$ETCD_URL" "$ETCD_SHA256" /var/tmp/etcd.tar.gz
  mkdir -p /opt/etcd
  tar -xzf /var/tmp/etcd.tar.gz --strip-components=1 --no-same-owner -C /opt/etcd
  rm /var/tmp/etcd.tar.gz
fi
systemctl daemon-reload
if [ -n "$TLS_PATH" ]; then
  "$here/certify"
  systemctl enable --now quorate-certify.timer
fi
if [ -n "$BACKUP_KEYS" ]; then
  "$here/keys"
fi
systemctl enable --now quorate.service
