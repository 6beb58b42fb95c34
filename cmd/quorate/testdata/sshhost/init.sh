#!/bin/sh
# init ROOT: the first process of a host: a machine's files of its own over this
# machine's, its own processes, and OpenSSH's server. It ends with its parent.
set -eu
root=$1
mkdir -p "$root/upper" "$root/work" "$root/merged"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/merged"
cd "$root/merged"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p run/sshd run/systemd/system run/fake srv/store opt
mount --bind "$root/../store" srv/store
if [ -s "$root/data-size" ]; then
  mkdir -p var/lib/quorate
  mount -t tmpfs -o "size=$(cat "$root/data-size")" tmpfs var/lib/quorate
fi
cp -r "$root/overlay/." .
exec chroot . /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
