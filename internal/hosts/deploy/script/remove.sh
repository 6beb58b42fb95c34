# remove: the service ends, and what deploying has made goes: the program, its
# releases, the service's file. The user goes with its data or never had any.
# Data stays unless DROP_DATA is yes; an empty directory of data goes.
set -eu
base=/opt/quorate
unit=/etc/systemd/system/quorate.service

# ours are the processes whose program is one of ours: an etcd whose agent has
# crashed serves on, and would outlive its files.
ours() {
  for p in /proc/[0-9]*; do
    case $(readlink "$p/exe" 2>/dev/null || true) in
      "$base"/bin/*) printf '%s ' "${p#/proc/}" ;;
    esac
  done
}

end() {
  left=120
  while list=$(ours) && [ -n "$list" ]; do
    # shellcheck disable=SC2086 # a list
    if [ $left -gt 0 ]; then kill $list 2>/dev/null || true; else kill -9 $list 2>/dev/null || true; fi
    left=$((left - 1))
    sleep 0.5
  done
}

main() {
  if [ -e "$unit" ]; then
    systemctl disable --now --quiet quorate.service
    rm -f "$unit"
    systemctl daemon-reload
  fi
  end
  if [ "$(readlink /usr/local/bin/quorate 2>/dev/null)" = "$base/current/quorate" ]; then rm -f /usr/local/bin/quorate; fi
  rm -rf "$base"
  rm -f "${DATA_DIR:?}/leaving" # it has left: whoever deploys again wants it back
  if [ "$DROP_DATA" = yes ]; then rm -rf "${DATA_DIR:?}"; fi
  if [ "$KEEP_DIR" = no ]; then rmdir "$DATA_DIR" 2>/dev/null || true; fi
  if [ "$KEEP_USER" = no ] && [ ! -d "$DATA_DIR" ]; then userdel quorate >/dev/null 2>&1 || true; fi
  if [ -d "$DATA_DIR" ]; then echo "$DATA_DIR stays"; fi
}
