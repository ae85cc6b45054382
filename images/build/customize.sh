#!/bin/sh
# customize.sh ROOT: turns a Debian with the relay's package into the appliance.
set -eu
root=$1

# Day 0 brings the configuration; until then the service says that there is none.
rm "$root/etc/lwaftr/lwaftr.toml"
systemctl --quiet --root="$root" enable lwaftr lwaftr-seed systemd-networkd systemd-resolved
systemctl --quiet --root="$root" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/boot/efi"

# Each machine gets its own: identity, host keys, random seed. Nobody has a password.
: >"$root/etc/machine-id"
rm -f "$root"/var/lib/dbus/machine-id "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed
if cut -d: -f2 "$root/etc/shadow" | grep -v '^[*!]*$'; then
    echo "somebody has a password" >&2
    exit 1
fi

if find "$root" -xdev -uid +999 | grep .; then
    echo "these belong to somebody whom the image does not have" >&2
    exit 1
fi

# Not needed, and not the same twice.
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old \
    "$root"/var/cache/ldconfig/* "$root"/var/log/* "$root"/tmp/* "$root"/var/lib/dpkg/*-old \
    "$root"/etc/*- "$root"/boot/*.old
mkdir -p "$root/var/log/journal"
