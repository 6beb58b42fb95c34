# stage SHA256: standard input, compressed, becomes the binary of that sum; or
# there is none.
set -eu
umask 022
mkdir -p /opt/quorate/bin
part=$(mktemp "/opt/quorate/bin/.part.XXXXXX")
trap 'rm -f "$part"' EXIT
gzip -dc >"$part"
got=$(sha256sum <"$part" | cut -d' ' -f1)
if [ "$got" != "$1" ]; then
  echo "the binary that arrived has the SHA-256 $got, not $1" >&2
  exit 1
fi
chmod 0755 "$part"
sync "$part"
mv -f "$part" "/opt/quorate/bin/$1"
if command -v restorecon >/dev/null; then restorecon -R /opt/quorate/bin || true; fi
