#!/bin/sh
# Compiles the stub: build.sh OUTPUT [INCLUDE]. The ABI that it speaks is that of the headers.
set -eu
output=$1
include=${2:-/usr/include}
here=$(dirname "$0")
version=$(sed -n 's/^#define FI_MAJOR_VERSION \([0-9]*\)/\1/p; s/^#define FI_MINOR_VERSION \([0-9]*\)/\1/p' "$include/rdma/fabric.h" | tr '\n' ' ')
# shellcheck disable=SC2086 # two numbers
set -- $version
case "$1.$2" in
1.1[0-9]) abi=FABRIC_1.3 ;;
1.*) abi=FABRIC_1.7 ;;
2.[0-4]) abi=FABRIC_1.8 ;;
*) abi=FABRIC_1.9 ;;
esac
map=$(mktemp)
trap 'rm -f "$map"' EXIT
cat >"$map" <<MAP
FABRIC_1.0 { global: fi_version; fi_strerror; local: *; };
FABRIC_1.1 { global: fi_fabric; } FABRIC_1.0;
$abi { global: fi_getinfo; fi_freeinfo; fi_dupinfo; } FABRIC_1.1;
MAP
cc -O2 -g -std=gnu11 -Wall -Wextra -Werror -fPIC -shared -pthread -I "$include" -Wl,--version-script="$map" \
	-o "$output" "$here"/*.c
