#!/usr/bin/env bash
# test.sh PACKAGE: installs, upgrades, removes and purges the package in a Debian 12 that has nothing else.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
package=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The next version, as far as dpkg can tell.
dpkg-deb --raw-extract "$package" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip --build "$work/next" "$work/next.deb" >/dev/null
cp "$package" "$work/first.deb"

mkdir "$work/bin"
cp "$here/test-inside.sh" "$work/bin/"
# shellcheck disable=SC2016  # mmdebstrap says what $1 is
mmdebstrap --quiet --variant=minbase --include=systemd,man-db \
    --customize-hook="copy-in $work/first.deb $work/next.deb $work/bin/test-inside.sh /root" \
    --customize-hook='chroot "$1" /root/test-inside.sh' \
    bookworm /dev/null
