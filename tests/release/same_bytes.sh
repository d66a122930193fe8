#!/usr/bin/env bash
# Builds release programs once more, in another folder and under another cargo home, and compares them byte for byte:
#
#   tests/release/same_bytes.sh dist prefab-bootstrap prefab-fabric
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dist=$(cd "$1" && pwd)
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A path of another length, so that padding shows too. Nothing below target is taken: every file is compiled anew.
folder="$scratch/a folder with quite another and rather longer name"
mkdir -p "$folder/target" "$scratch/cargo"
tar -C "$root" --exclude=./target --exclude=./dist --exclude=./demo --exclude=./.venv --exclude=./.git -cf - . |
  tar -C "$folder" -xf -
ln -s "$root/target/linker" "$folder/target/linker"
# The same downloads under another name.
for part in registry git; do
  downloads="${CARGO_HOME:-$HOME/.cargo}/$part"
  if [ -e "$downloads" ]; then ln -s "$downloads" "$scratch/cargo/$part"; fi
done

export CARGO_HOME="$scratch/cargo"
unset CARGO_TARGET_DIR
make --silent -C "$folder" "${@/#/build-}"

for program in "$@"; do
  sum_of() { sha256sum <"$1/$program" | cut -d ' ' -f 1; }
  here=$(sum_of "$dist") there=$(sum_of "$folder/dist")
  if [ "$here" != "$there" ]; then
    echo "error: $program is $here here and $there from another folder; look for paths: strings $dist/$program | grep /" >&2
    exit 1
  fi
  echo "$program is the same bytes from two folders: $here"
done
