# look: what this host is, and what of ours is on it. It changes nothing.
base=/opt/quorate
unit=/etc/systemd/system/quorate.service

say() { printf '%s=%s\n' "$1" "$2"; }
yes_if() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
sum() { if [ -f "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; fi; }
encoded() { if [ -f "$1" ]; then base64 <"$1" | tr -d '\n'; fi; }

binaries() {
  for f in "$base"/bin/*; do
    if [ -f "$f" ]; then printf '%s ' "${f##*/}"; fi
  done
}

others() {
  for s in etcd etcd-member; do
    if systemctl is-active --quiet "$s.service" 2>/dev/null; then printf '%s.service ' "$s"; fi
  done
}

# started is what the service's process was started from, by its own
# environment: the link in force may lead elsewhere since. Nothing: none runs.
started() {
  pid=$(systemctl show --property=MainPID --value quorate.service 2>/dev/null)
  if [ "${pid:-0}" = 0 ] || [ ! -e "/proc/$pid" ]; then return; fi
  value=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^QUORATE_SSH_START=//p')
  printf %s "${value:-unknown}"
}

main() {
  say kernel "$(uname -s)"
  say arch "$(uname -m)"
  say root "$(yes_if test "$(id -u)" = 0)"
  say systemd "$(yes_if test -d /run/systemd/system)"
  say free_kib "$(df -Pk "$(if [ -d /opt ]; then echo /opt; else echo /; fi)" | awk 'END { print $4 }')"
  say installed "$(yes_if test -d "$base")"
  release=$(readlink "$base/current" 2>/dev/null)
  say release "${release##*/}"
  say manifest "$(encoded "$base/current/manifest")"
  say peers "$(encoded "$base/current/peers.yaml")"
  say unit "$(sum "$unit")"
  say unit_ours "$(yes_if grep -q '^# written by quorate ssh deploy' "$unit")"
  say linked "$(yes_if test "$(readlink /usr/local/bin/quorate 2>/dev/null)" = "$base/current/quorate")"
  say active "$(systemctl is-active quorate.service 2>/dev/null)"
  say started "$(started)"
  say enabled "$(systemctl is-enabled quorate.service 2>/dev/null)"
  say binaries "$(binaries)"
  say user "$(yes_if id -u quorate)"
  say data_dir "$(yes_if test -d "$DATA_DIR")"
  say others "$(others)"
  say end yes
}
