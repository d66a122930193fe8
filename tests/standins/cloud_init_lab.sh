#!/bin/bash
# A network of nodes that boot with real cloud-init, and what they talk to. Ends when its standard input does.
#
# usage: unshare --mount --net --pid --fork --kill-child cloud_init_lab.sh PLACE NAME PYTHON
#
# PLACE is what cloud_init_root.sh made. First it prints its process id, as seen from outside; when the services answer,
# `ready`. Everything it makes lives in the namespaces of which this is the first process: mounts, links, further
# namespaces, processes and the files in PLACE/lab. When it ends, in whatever way, the kernel takes all of that back.
# Only control groups are of the whole machine: this script removes its own, and those of labs that could not.
set -euo pipefail
place=$1 name=$2 python=$3
here=$(cd "$(dirname "$0")" && pwd)

# /proc is still the one from outside.
read -r pid _ </proc/self/stat
echo "$pid"

mount -t tmpfs -o mode=0755 "$name" "$place/lab"
# Named network namespaces are files in /run/netns; here they are this lab's own.
mount -t tmpfs -o mode=0755 "$name" /run
mount -t proc proc /proc
mkdir -p /run/netns "$place"/lab/{nodes,tls,cgroup}
mount -t cgroup2 "$name" "$place/lab/cgroup"

# Groups of a lab are those that begin with its name. One with a process in it is not removed.
remove_groups() {
  find "$place/lab/cgroup" -depth -mindepth 1 -type d -path "$place/lab/cgroup/$1*" -exec rmdir {} + 2>/dev/null
}
for group in "$place"/lab/cgroup/prefab-lab-*; do
  if grep -qsx 'populated 0' "$group/cgroup.events"; then remove_groups "${group##*/}" || :; fi
done
echo "$name" >"$place/lab/name"

# 169.254.169.254 is a neighbour, as on AWS. Nothing is forwarded: there is no way out.
ip link set lo up
# Its own hardware address: by default it is one of its ports', and changes with them.
ip link add br0 address 02:00:00:00:00:fe type bridge
ip address add 10.77.0.254/24 dev br0
ip address add 169.254.169.254/32 dev br0
ip link set br0 up

cd "$place/lab/tls"
exec 3>&1 >&2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$name" -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=services" -keyout key.pem -out request.pem 2>/dev/null
printf 'subjectAltName=DNS:*.amazonaws.com,DNS:*.us-east-1.amazonaws.com,DNS:*.s3.us-east-1.amazonaws.com\n' >extensions
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out certificate.pem 2>/dev/null

mkfifo "$place/lab/ready" "$place/lab/held"
# The services' standard input stays open as long as this process lives.
"$python" "$here/node_services.py" "$place/lab" 10.77.0.254 certificate.pem key.pem <"$place/lab/held" >"$place/lab/ready" &
exec 4>"$place/lab/held"
read -r _ <"$place/lab/ready"
echo ready >&3
exec 3>&-
cat >/dev/null

# Nobody needs to read whom it killed.
exec 2>/dev/null
kill -KILL -1
for _ in {1..50}; do
  if remove_groups "$name-"; then break; fi
  sleep 0.1
done
