#!/usr/bin/env bash
# Looks at this machine by other means than the checks do, and prints facts as name=value.
set -u

efa=0
for driver in /sys/class/infiniband/*/device/driver; do
  [ -e "$driver" ] || continue
  case $(readlink "$driver") in */efa) efa=$((efa + 1)) ;; esac
done
echo "efa_devices=$efa"
echo "uverbs_nodes=$(find /dev/infiniband -name 'uverbs*' 2>/dev/null | wc -l)"
echo "efa_module=$(if [ -e /proc/modules ]; then grep -c "^efa " /proc/modules; else echo 0; fi)"

memlock=$(ulimit -S -l)
[ "$memlock" = unlimited ] || memlock=$((memlock * 1024))
echo "memlock=$memlock"
echo "hugepages=$(awk '/^HugePages_Total/ { total = $2 } /^HugePages_Free/ { free = $2 } END { print free " of " total }' /proc/meminfo)"

if command -v nvidia-smi >/dev/null; then
  echo "gpus=$(nvidia-smi -L | grep -c '^GPU ')"
  echo "gpu_driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)"
else
  echo "gpus=none"
  echo "gpu_driver=none"
fi

echo "name_servers=$(awk '$1 == "nameserver" { printf "%s%s", separator, $2; separator = ", " }' /etc/resolv.conf)"
echo "root_available=$(df -P -B 1 / | awk 'NR == 2 { print $4 }')"
echo "fi_variables=$(env | grep -c '^FI_')"
echo "nccl_variables=$(env | grep -c '^NCCL_')"
echo "oom_kills=$(dmesg 2>/dev/null | grep -c 'Killed process')"
echo "dmesg=$(if dmesg >/dev/null 2>&1; then echo readable; else echo unreadable; fi)"
echo "libfabric=$(if [ -e /opt/amazon/efa/bin/fi_info ]; then echo installed; else echo none; fi)"
echo "chrony=$(if [ -x /usr/bin/chronyc ]; then echo installed; else echo none; fi)"
echo "timesyncd=$(if [ -e /run/systemd/timesync/synchronized ]; then echo synchronised; else echo none; fi)"
echo "engine=$(if [ -x /usr/local/bin/prefab-fabric ]; then echo installed; else echo none; fi)"
