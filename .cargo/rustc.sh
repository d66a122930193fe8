#!/usr/bin/env bash
# cargo's rustc-wrapper: programs hold the places of panics, and for a package from a registry that is a path of the
# building machine. Named by package and version instead, they are the same bytes from every folder, cargo home and
# mirror. (`trim-paths` of cargo, which would do it, is not stable.) Our own packages are relative already.
# Bash, because it hands on variables like CARGO_BIN_EXE_prefab-bootstrap; other shells drop names that are not theirs.
root=${0%/.cargo/rustc.sh}
case "${CARGO_MANIFEST_DIR-}" in
  '' | "$root" | "$root"/bootstrap | "$root"/bootstrap/*) exec "$@" ;;
esac
name="$CARGO_PKG_NAME-$CARGO_PKG_VERSION"
# A cargo home inside the workspace gives paths relative to it; generated code lies in OUT_DIR.
exec "$@" --remap-path-prefix "$CARGO_MANIFEST_DIR=$name" \
  --remap-path-prefix "${CARGO_MANIFEST_DIR#"$PWD/"}=$name" \
  ${OUT_DIR:+--remap-path-prefix "$OUT_DIR=$name/out"}
