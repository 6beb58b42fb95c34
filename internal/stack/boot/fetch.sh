#!/bin/bash
# fetch URL SHA256 FILE: FILE becomes what is at URL, if that has this sum.
# Else there is no FILE, or the one that was there.
set -euo pipefail
url=$1 sum=$2 file=$3
part=$(mktemp "$file.XXXXXX")
trap 'rm -f "$part"' EXIT
case $url in
  s3://*) aws s3 cp --only-show-errors "$url" "$part" ;;
  *) curl -fsSL --proto =https --retry 5 --retry-connrefused --connect-timeout 10 --max-time 600 -o "$part" "$url" ;;
esac
if ! echo "$sum  $part" | sha256sum --check --status -; then
  echo "fetch: $url has the SHA-256 $(sha256sum <"$part" | cut -d' ' -f1), not $sum: refused" >&2
  exit 1
fi
chmod 0755 "$part"
sync "$part"
mv -f "$part" "$file"
