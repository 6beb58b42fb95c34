# tidy: of releases and binaries only those in force and the previous ones stay.
set -eu
main() {
  cd /opt/quorate
  keep="$(readlink current || true) $(readlink previous || true)"
  binaries=
  for r in $keep; do binaries="$binaries $(readlink "$r/quorate" || true)"; done
  for r in releases/* releases/.new.*; do
    case " $keep " in *" $r "*) ;; *) rm -rf "$r" ;; esac
  done
  for b in bin/* bin/.part.*; do
    case " $binaries " in *" ../../$b "*) ;; *) rm -f "$b" ;; esac
  done
}
