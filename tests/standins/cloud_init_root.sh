#!/bin/bash
# Makes the root folder of a Debian with cloud-init, once, and prints the folder that holds it as `root`.
#
# usage: cloud_init_root.sh          makes it if it is missing
#        cloud_init_root.sh --path   only says where it is or would be
#        cloud_init_root.sh --lacks  says what this machine lacks for making and booting it, one line, or nothing
#
# It comes from the Debian archive that this machine's own apt uses. A changed recipe is another folder.
set -euo pipefail

suite=bookworm
# python3-cffi-backend: debootstrap does not follow the virtual package by which python3-cryptography asks for it.
packages=cloud-init,python3-cffi-backend,iproute2,curl,openssl,ca-certificates,procps,systemd,systemd-sysv,dbus

# The first archive of apt's that is Debian's and has main; as apt itself says, whatever form its sources are written in.
archive() {
  # shellcheck disable=SC2016 # apt expands them.
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
    sed -n '/^Debian Debian main /{s///;p;q}'
}

lacks() {
  if [[ $(id -u) != 0 ]]; then
    echo "root"
    return
  fi
  local tool
  for tool in debootstrap apt-get ip nsenter unshare setpriv openssl; do
    if ! type -P "$tool" >/dev/null; then
      echo "the program $tool"
      return
    fi
  done
  if ! unshare --mount --net --pid --uts --fork true 2>/dev/null; then
    echo "the right to make namespaces"
  elif ! unshare --mount bash -c 'mkdir -p /run/lock && mount -t tmpfs tmpfs /run/lock && cd /run/lock && mkdir l u w m &&
      mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m' 2>/dev/null; then
    echo "overlay mounts"
  elif ! unshare --mount --cgroup bash -c 'mkdir -p /run/lock && mount -t tmpfs tmpfs /run/lock && cd /run/lock && mkdir g &&
      mount -t cgroup2 g g && mkdir g/prefab-try && rmdir g/prefab-try' 2>/dev/null; then
    echo "control groups of version 2"
  elif [[ ! -d $place && -z $(archive) ]]; then
    echo "Debian's archive among the sources of apt"
  fi
}

# make_root FOLDER: everything that decides what is in it stands in here.
make_root() {
  local new=$1 proxy
  mkdir -p "$new/lab"
  proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
  if [[ $proxy ]]; then export http_proxy=$proxy; fi
  # In a namespace of its own, so that no mount outlives an interruption.
  if ! unshare --mount --pid --fork --kill-child debootstrap --variant=minbase --include="$packages" \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$new/root" "$(archive)"; then
    # Another version of a package may need another virtual one: what is unpacked is finished by dpkg and apt.
    unshare --mount --pid --fork --kill-child chroot "$new/root" bash -ec 'mount -t proc proc /proc
      dpkg --configure -a || :
      apt-get --yes --fix-broken install
      dpkg --configure -a'
  fi
  chroot "$new/root" cloud-init --version
  rm -rf "$new"/root/var/cache/apt/* "$new"/root/var/lib/apt/lists/* "$new"/root/usr/share/{doc,man,locale}/*
  # There is no DHCP server: the network is configured from outside, and cloud-init would wait a minute for a lease.
  rm "$new/root/usr/sbin/dhclient"
  printf '%s\n' 'datasource_list: [Ec2]' 'network: {config: disabled}' 'locale: false' 'ssh_genkeytypes: []' \
    >"$new/root/etc/cloud/cloud.cfg.d/99-ec2.cfg"
  sync
}

recipe=$({ echo "$suite $packages"; declare -f make_root; } | sha256sum)
place=${XDG_CACHE_HOME:-$HOME/.cache}/prefab/cloud-init-${recipe:0:16}

case ${1:-} in
  --path)
    echo "$place"
    exit ;;
  --lacks)
    lacks
    exit ;;
esac

lack=$(lacks)
if [[ $lack ]]; then
  echo "the cloud-init boots need $lack" >&2
  exit 1
fi
if [[ ! -d $place ]]; then
  mkdir -p "${place%/*}"
  exec 9>"${place%/*}/making.lock"
  flock 9
fi
if [[ ! -d $place ]]; then
  echo "making a Debian with cloud-init in $place, once; this takes minutes" >&2
  # It gets its name when it is whole. What an interrupted run left is begun again.
  rm -rf --one-file-system "$place.new"
  mkdir "$place.new"
  # errexit does not reach into a condition.
  set +e
  (set -e; make_root "$place.new") >"$place.log" 2>&1
  code=$?
  set -e
  if (( code != 0 )); then
    echo "it could not be made; see $place.log" >&2
    exit 1
  fi
  mv -T "$place.new" "$place"
fi
echo "$place"
