#!/usr/bin/env bash
# build.sh PROGRAM OUT: makes OUT/lwaftr_VERSION_amd64.deb of a program that cargo has built with DPDK
# inside (--features static), by Debian's own tools. Nothing in the package is written by hand that
# is somewhere else already: man pages and completions come from the program, units from
# images/systemd, configurations from configs.
set -euo pipefail

program=$(realpath "$1")
out=$(mkdir -p "$2" && realpath "$2")
top=$(realpath "$(dirname "$0")/../..")

version=$("$program" --version | awk '{print $2; exit}')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/lwaftr
mkdir "$tree"
cp -r "$top/images/package/debian" "$top/configs" "$top/docs" "$tree/"
cp "$program" "$tree/lwaftr"
mkdir "$tree/units" "$tree/day0"
cp "$top"/images/systemd/*.service "$tree/units/"
cp "$top/images/day0/seed" "$tree/day0/"
cp "$top/images/systemd/lwaftr.sysusers.conf" "$tree/debian/lwaftr.sysusers"
cp "$top/images/systemd/lwaftr.tmpfiles.conf" "$tree/debian/lwaftr.tmpfiles"
cat >"$tree/debian/changelog" <<CHANGELOG
lwaftr ($version) unstable; urgency=medium

  * Commit $(git -C "$top" describe --always --dirty --abbrev=12).

 -- The lwaftr maintainers <lwaftr@localhost>  $(date -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG

(cd "$tree" && dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps) >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
mv "$work/lwaftr_${version}_amd64.deb" "$out/"
(cd "$out" && sha256sum "lwaftr_${version}_amd64.deb" >"lwaftr_${version}_amd64.deb.sha256")
echo "$out/lwaftr_${version}_amd64.deb"
