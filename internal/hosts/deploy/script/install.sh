# install: makes the release ID beside the others; none is switched to. The
# function files, which writes its files, stands before this script.
set -eu
umask 022
base=/opt/quorate

# account is the user that agent and etcd run as. Its number is the same
# everywhere if it can be, for stores that hosts share.
account() {
  id -u quorate >/dev/null 2>&1 && return
  shell=/usr/sbin/nologin
  [ -x $shell ] || shell=/sbin/nologin
  set -- --system --user-group --no-create-home --home-dir "$DATA_DIR" --shell $shell quorate
  if getent passwd 2379 >/dev/null || getent group 2379 >/dev/null; then
    useradd "$@"
  else
    useradd --uid 2379 "$@"
  fi
}

data_dir() {
  if [ ! -d "$DATA_DIR" ]; then
    mkdir -p "$DATA_DIR"
    chmod 0700 "$DATA_DIR"
  fi
  [ "$(stat -c %U "$DATA_DIR")" = quorate ] || chown -R quorate: "$DATA_DIR"
}

main() {
  account
  data_dir
  mkdir -p "$base/releases"
  new="$base/releases/.new.$ID"
  rm -rf "$new"
  mkdir "$new" "$new/files"
  files "$new"
  ln -s "../../bin/$BINARY" "$new/quorate"
  chown root:quorate "$new/config.yaml"
  chmod 0640 "$new/config.yaml"
  chmod 0600 "$new/environment"
  chmod 0700 "$new/ask"
  chown -R quorate: "$new/files"
  find "$new/files" -type f -exec chmod 0600 {} +
  chmod 0500 "$new/files"
  sync
  rm -rf "${base:?}/releases/$ID"
  mv -T "$new" "$base/releases/$ID"
}
