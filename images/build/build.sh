#!/usr/bin/env bash
# build.sh PACKAGE OUT: makes OUT/lwaftr-VERSION.qcow2 with its checksum, manifest and SBOM from the
# relay's Debian package. As root, for mmdebstrap's chroot; without loop devices or mounts of images.
set -euo pipefail

package=$(realpath "$1")
out=$(mkdir -p "$2" && realpath "$2")
here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
# Sizes of the disk and its first partition, in MiB; the second one is the rest, and grows.
disk=2048 esp=64
# Always the same: an image is known by its checksum, a machine by its machine-id.
disk_id=6c776166-7472-4000-8000-000000000001
esp_id=6c776166-7472-4000-8000-000000000002
root_id=6c776166-7472-4000-8000-000000000003
hash_seed=6c776166-7472-4000-8000-000000000004

version=$(dpkg-deb --field "$package" Version)
name=lwaftr-$version
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root

step() { echo "$(date +%T) $*"; }
lines() { grep -v '^#' "$1"; }

# Files of our own, whoever has checked them out, and when.
cp -r "$here/rootfs" "$work/rootfs"
chown -R root:root "$work/rootfs"
chmod -R u=rwX,go=rX "$work/rootfs"
find "$work/rootfs" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

step "Debian and the package"
excluded=(--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright')
while read -r pattern; do
    excluded+=(--dpkgopt="path-exclude=/lib/modules/*/kernel/$pattern/*")
done < <(lines "$here/modules-left-out")
# shellcheck disable=SC2016  # mmdebstrap says what $1 is
needed=$(dpkg-deb --field "$package" Depends | tr ',' '\n' | awk '{ print $1 }')
# shellcheck disable=SC2016  # mmdebstrap says what $1 is
mmdebstrap --quiet --variant=minbase --include="$(lines "$here/packages" | paste -sd,)" \
    --include="$(echo "$needed" | paste -sd,)" \
    --aptopt='APT::Install-Recommends "false"' "${excluded[@]}" \
    --essential-hook="copy-in $work/rootfs/etc/initramfs-tools /etc" \
    --customize-hook="copy-in $work/rootfs/etc /" \
    --customize-hook="upload $package /tmp/lwaftr.deb" \
    --customize-hook='chroot "$1" dpkg --install /tmp/lwaftr.deb >/dev/null' \
    --customize-hook="$here/customize.sh \"\$1\"" \
    bookworm "$root"

step "The boot partition"
boot=$work/esp.img
mkdir -p "$work/esp/EFI/BOOT" "$work/esp/loader/entries"
cp "$root"/boot/vmlinuz-* "$work/esp/vmlinuz"
cp "$root"/boot/initrd.img-* "$work/esp/initrd.img"
cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi "$work/esp/EFI/BOOT/BOOTX64.EFI"
options=$(cat "$here/kernel-options")
cat >"$work/esp/loader/loader.conf" <<LOADER
timeout 0
editor no
default lwaftr.conf
LOADER
cat >"$work/esp/loader/entries/lwaftr.conf" <<ENTRY
title lwaftr $version
linux /vmlinuz
initrd /initrd.img
options $options
ENTRY
cat >"$work/esp/syslinux.cfg" <<SYSLINUX
SERIAL 0 115200
DEFAULT lwaftr
PROMPT 0
LABEL lwaftr
LINUX /vmlinuz
INITRD /initrd.img
APPEND $options
SYSLINUX
find "$work/esp" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
truncate --size="${esp}M" "$boot"
mkfs.vfat --invariant -F 32 -n LWAFTR-ESP -i 6c776166 "$boot" >/dev/null
(cd "$work/esp" && mcopy -m -s -i "$boot" EFI loader initrd.img syslinux.cfg vmlinuz ::)
syslinux --install "$boot"

step "The root file system"
cc -shared -fPIC -O2 -o "$work/same-times.so" "$here/same-times.c"
truncate --size="$((disk - esp - 2))M" "$work/root.img"
LD_PRELOAD=$work/same-times.so mke2fs -q -t ext4 -d "$root" -L lwaftr-root -U "$root_id" -m 1 \
    -E "hash_seed=$hash_seed,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" "$work/root.img"

step "The disk"
raw=$work/disk.raw
truncate --size="${disk}M" "$raw"
sfdisk --quiet "$raw" <<TABLE
label: gpt
label-id: $disk_id
start=1MiB, size=${esp}MiB, type=U, uuid=$esp_id, name=boot, attrs=LegacyBIOSBootable
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=$root_id, name=root
TABLE
dd if=/usr/lib/syslinux/mbr/gptmbr.bin of="$raw" bs=440 count=1 conv=notrunc status=none
dd if="$boot" of="$raw" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root.img" of="$raw" bs=1M seek=$((esp + 1)) conv=notrunc,sparse status=none
qemu-img convert -c -m 1 -O qcow2 -o compression_type=zstd "$raw" "$work/$name.qcow2"
mv "$work/$name.qcow2" "$out/"
(cd "$out" && sha256sum "$name.qcow2" >"$name.qcow2.sha256")

step "Manifest and SBOM"
/usr/bin/python3 "$here/manifest.py" --root "$root" --image "$out/$name.qcow2" --package "$package" --top "$top"
size=$(stat -c %s "$out/$name.qcow2")
step "$out/$name.qcow2: $((size / 1000000)) MB"
