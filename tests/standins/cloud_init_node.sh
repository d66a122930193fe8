#!/bin/bash
# One power-on of a node, inside a lab: real cloud-init, stage by stage, in a root and namespaces of its own.
#
# usage: cloud_init_node.sh PLACE ADDRESS
#
# The node's folder is PLACE/lab/nodes/ADDRESS. `upper` is what its disk holds above the cached root, and stays from one
# power-on to the next; `removed` names files that its image lacks, `small` folders on a disk of 1 MiB. Before the final
# stage, in which the node script runs, it prints `final` and waits for a line: faults that cloud-init itself must not
# meet are put in place then. The log of each stage is STAGE.log, what a person sees is `console`.
set -euo pipefail

power_on() {
  local place=$1 address=$2 folder=$1/lab/nodes/$2
  if [[ ! -e /run/netns/$address ]]; then
    ip netns add "$address"
    ip link add "node${address##*.}" type veth peer name eth0 netns "$address"
    ip link set "node${address##*.}" master br0 up
    ip -n "$address" link set lo up
    ip -n "$address" address add "$address/24" dev eth0
    ip -n "$address" link set eth0 up
    ip -n "$address" route add default via 10.77.0.254
  fi
  mkdir -p "$folder"/{upper,work,root}
  exec ip netns exec "$address" unshare --mount --uts --ipc --pid --fork --kill-child "$0" inside "$place/root" "$folder"
}

# Everything that EC2's hardware is to cloud-init: without these words it does not use IMDSv2.
dmi() {
  mkdir -p "$1"
  printf 'Amazon EC2\n' | tee "$1/sys_vendor" "$1/bios_vendor" "$1/chassis_asset_tag" >/dev/null
  printf 'p5.48xlarge\n' >"$1/product_name"
  printf 'ec2a0b1c-0000-4000-8000-00000000abcd\n' | tee "$1/product_uuid" >"$1/product_serial"
}

inside() {
  local image=$1 folder=$2 root=$2/root name device
  mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  # sysfs takes no new folder, so the real one is put together again around a class/dmi of ours.
  mkdir -p "$folder/sys"
  mount -t sysfs -o ro sysfs "$folder/sys"
  mount -t tmpfs tmpfs "$root/sys"
  for name in "$folder"/sys/* "$folder"/sys/class/*; do
    name=${name#"$folder"/sys/}
    if [[ ! -d $folder/sys/$name || $name == class || $name == class/dmi ]]; then continue; fi
    mkdir -p "$root/sys/$name"
    mount --bind "$folder/sys/$name" "$root/sys/$name"
  done
  dmi "$root/sys/class/dmi/id"
  mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  # A pipe, because cloud-init opens it for writing anew each time, which would empty a file.
  mkfifo "$root/dev/console"
  cat "$root/dev/console" >>"$folder/console" &
  exec 5>"$root/dev/console"
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s fd/0 "$root/dev/stdin"
  ln -s fd/1 "$root/dev/stdout"
  ln -s fd/2 "$root/dev/stderr"
  mount -t tmpfs -o mode=0755 tmpfs "$root/run"
  mkdir -p "$root/run/cloud-init"
  while read -r name; do rm -f "$root$name"; done < <(cat "$folder/removed" 2>/dev/null)
  while read -r name; do mount -t tmpfs -o size=1m,mode=0755 tmpfs "$root$name"; done < <(cat "$folder/small" 2>/dev/null)

  stage "$folder" local init --local
  stage "$folder" network init
  stage "$folder" config modules --mode=config
  echo final
  read -r _
  stage "$folder" final modules --mode=final
  # Its exit code says what the status does.
  in_root "$folder" cloud-init status --long >"$folder/status" 2>&1 || :
  exec 5>&-
  wait
}

in_root() {
  local root=$1/root
  shift
  chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null 5>&-
}

# A stage of cloud-init that fails is for its status to tell.
stage() {
  local folder=$1 name=$2
  shift 2
  in_root "$folder" cloud-init "$@" >>"$folder/$name.log" 2>&1 || echo "exit $?" >>"$folder/$name.log"
}

case $1 in
  inside) inside "$2" "$3" ;;
  *) power_on "$1" "$2" ;;
esac
