#!/bin/bash
# setup: what a new machine does before its agent starts. When it fails,
# cloud-init says so and the agent does not start.
set -euo pipefail
. /etc/quorate/setup.conf

id -u quorate >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir "$DATA_DIR" --shell /usr/sbin/nologin quorate
mkdir -p "$DATA_DIR"
chown quorate: "$DATA_DIR"
chmod 0700 "$DATA_DIR"
if [ -n "$URL" ]; then
  mkdir -p "${PROGRAM%/*}"
  /usr/local/lib/quorate/fetch "$URL" "$SHA256" "$PROGRAM"
elif [ ! -x "$PROGRAM" ]; then
  echo "quorate: $PROGRAM is not there: put it into the image, or make this with --url" >&2
  exit 1
fi
systemctl daemon-reload
systemctl enable --now quorate.service
