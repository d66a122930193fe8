#!/bin/bash
# One power-on of a node, inside a lab: real cloud-init, stage by stage, in a root and namespaces of its own.
#
# usage: cloud_init_node.sh PLACE ADDRESS           cloud-init's stages, one after the other, started from here
#        cloud_init_node.sh PLACE ADDRESS systemd   systemd as the first process, which starts cloud-init's units; it
#                                                   runs until it powers the node off (SIGINT) or reboots it (SIGHUP)
#
# The node's folder is PLACE/lab/nodes/ADDRESS. `upper` is what its disk holds above the cached root, and stays from one
# power-on to the next; `removed` names files that its image lacks, `small` folders on a disk of 1 MiB. Before the final
# stage, in which the node script runs, it prints `final` and waits for a line: faults that cloud-init itself must not
# meet are put in place then. The log of each stage is STAGE.log, what a person sees is `console`.
set -euo pipefail

power_on() {
  local place=$1 address=$2 how=$3 folder=$1/lab/nodes/$2 group
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
  set -- unshare --mount --uts --ipc --pid --fork --kill-child
  if [[ $how == systemd ]]; then
    group=$place/lab/cgroup/$(<"$place/lab/name")-$address
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
    # The console's reader outlives a reboot.
    if [[ ! -p $folder/tty ]]; then
      mkfifo "$folder/tty"
      cat <>"$folder/tty" >>"$folder/console" &
    fi
    # What is the whole machine's stays as it is: its clock and its kernel modules.
    set -- "$@" --cgroup setpriv --bounding-set=-sys_time,-sys_module
  fi
  exec ip netns exec "$address" "$@" "$0" "inside $how" "$place/root" "$folder"
}

# Everything that EC2's hardware is to cloud-init: without these words it does not use IMDSv2.
dmi() {
  mkdir -p "$1"
  printf 'Amazon EC2\n' | tee "$1/sys_vendor" "$1/bios_vendor" "$1/chassis_asset_tag" >/dev/null
  printf 'p5.48xlarge\n' >"$1/product_name"
  printf 'ec2a0b1c-0000-4000-8000-00000000abcd\n' | tee "$1/product_uuid" >"$1/product_serial"
}

# The node's disk and what its kernel shows.
mounts() {
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
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s fd/0 "$root/dev/stdin"
  ln -s fd/1 "$root/dev/stdout"
  ln -s fd/2 "$root/dev/stderr"
  mount -t tmpfs -o mode=0755 tmpfs "$root/run"
  mkdir -p "$root/run/cloud-init"
  while read -r name; do rm -f "$root$name"; done < <(cat "$folder/removed" 2>/dev/null)
  while read -r name; do mount -t tmpfs -o size=1m,mode=0755 tmpfs "$root$name"; done < <(cat "$folder/small" 2>/dev/null)
}

by_stages() {
  local folder=$1
  # A pipe, because cloud-init opens it for writing anew each time, which would empty a file.
  mkfifo "$folder/root/dev/console"
  cat "$folder/root/dev/console" >>"$folder/console" &
  exec 5>"$folder/root/dev/console"
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

by_systemd() {
  local folder=$1 root=$1/root unit
  touch "$root/dev/console"
  mount --bind "$folder/tty" "$root/dev/console"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  # Settings of the kernel are the whole machine's. Each boot has a name of its own, as on a machine.
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  cat /proc/sys/kernel/random/uuid >"$folder/boot_id"
  mount --bind "$folder/boot_id" "$root/proc/sys/kernel/random/boot_id"
  # There is no terminal to log in on, and no archive to fetch updates from.
  for unit in console-getty.service apt-daily.timer apt-daily-upgrade.timer sys-kernel-{debug,tracing}.mount; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
  done
  # Systemd sees that it is in namespaces; cloud-init must not, or it would not look at the hardware.
  printf '#!/bin/sh\ncase "$*" in *--container*) exit 1 ;; esac\necho amazon\n' >"$root/usr/bin/systemd-detect-virt"
  chmod 0755 "$root/usr/bin/systemd-detect-virt"
  # Nothing of the outside stays in sight, or systemd would take its mounts for the node's.
  cd "$root"
  pivot_root . .
  umount -l .
  exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal \
    </dev/null >/dev/null 2>&1
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
  'inside stages')
    mounts "$2" "$3"
    by_stages "$3" ;;
  'inside systemd')
    mounts "$2" "$3"
    by_systemd "$3" ;;
  *)
    power_on "$1" "$2" "${3:-stages}" ;;
esac
