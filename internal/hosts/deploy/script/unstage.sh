# unstage: takes the binary BINARY away again, and our directories where
# nothing else is in them.
set -eu
main() {
  rm -f "/opt/quorate/bin/$BINARY" /opt/quorate/bin/.part.*
  rmdir /opt/quorate/bin /opt/quorate 2>/dev/null || true
}
