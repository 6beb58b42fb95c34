#!/bin/bash
# volume [DEVICE]: mounts the data volume at boot, for good. It makes a file
# system only where blkid proves that there is none: any doubt ends the setup.
set -euo pipefail
mount=/var/lib/quorate

# attached is the device that EC2 was asked to name /dev/sdf.
attached() {
  local link
  for _ in $(seq 120); do
    for link in /dev/sdf /dev/xvdf; do
      if [ -b "$link" ]; then
        readlink -f "$link"
        return
      fi
    done
    sleep 1
  done
  echo "volume: no /dev/sdf within two minutes" >&2
  return 1
}

# format makes a file system on an empty device.
format() {
  local found=0
  blkid --probe "$1" >/dev/null || found=$?
  case $found in
    0) ;;
    2) mkfs.ext4 -q -m 0 -L quorate "$1" ;;
    *) echo "volume: blkid cannot tell what is on $1 (exit code $found)" >&2; return 1 ;;
  esac
}

device=${1:-$(attached)}
format "$device"
[ $# -eq 0 ] || exit 0
uuid=$(blkid --probe --output value --match-tag UUID "$device")
mkdir -p "$mount"
grep -q " $mount " /etc/fstab || echo "UUID=$uuid $mount ext4 noatime,nofail,x-systemd.device-timeout=120 0 2" >>/etc/fstab
mountpoint -q "$mount" || mount "$mount"
