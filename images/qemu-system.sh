#!/usr/bin/env bash
# qemu-system.sh IMAGE [SEED]: runs a relay by QEMU alone, in the foreground, its serial console on this
# terminal (Ctrl-A X ends it). IMAGE is a copy of the image for this relay alone, SEED a disk with the
# user data: cloud-localds seed.img user-data. In the environment:
#
#   FLAVOUR=small     one of flavours.toml
#   ACCEL=kvm         tcg where there is no KVM: slow, for trying out
#   MANAGEMENT=       where the management port leads: QEMU's user network, with the guest's SSH and API
#                     at ports 2222 and 8676 of this host, unless given
#   EXTERNAL=         the data ports, as -netdev has them: tap,ifname=tap0,script=no,downscript=no or
#   INTERNAL=         vhost-user,chardev=... with MORE; a tap device of that kind, lwaftr-ext and
#                     lwaftr-int, unless given. Taps are asked for as many queues as there are workers.
#   EXTERNAL_MAC=     52:54:00:00:00:01 and 52:54:00:00:00:02 unless given: nic:1 and nic:2, in any case
#   INTERNAL_MAC=
#   HUGEPAGES=        a hugetlbfs mount for the guest's memory, like /dev/hugepages; none: ordinary pages
#   IOMMU=on          off: the guest takes uio_pci_generic instead of vfio-pci
#   UEFI=             the firmware, like /usr/share/OVMF/OVMF_CODE.fd; none: BIOS
#   QEMU=             another program than qemu-system-x86_64
#   MORE=             more options, like "-pidfile relay.pid"
set -euo pipefail

usage() {
    sed -nE '2,/^set/s/^# ?//p' "$0"
    exit 2
}

# size KEY: what flavours.toml says of the flavour.
size() {
    sed -nE "/^\[$flavour\]/,/^\[/s/^$1 = //p" "$(dirname "$0")/flavours.toml" | tr -d _
}

# data_port NAME BACKEND MAC: a port that the relay gets, with a queue pair for each worker.
data_port() {
    local queues="" vectors="" iommu=""
    if ((workers > 1)); then
        # Two interrupts for each queue pair, one for the device's control, one for its configuration.
        vectors=",mq=on,vectors=$((2 * workers + 2))"
        # Hashes of addresses choose the queue, as the relay asks for more than one worker.
        [[ $2 != tap,* ]] || vectors+=",rss=on"
        [[ $2 == tap,*queues=* || $2 == vhost-user,*queues=* ]] || queues=",queues=$workers"
    fi
    [[ $2 == tap,* || $2 == vhost-user,* ]] || queues="" vectors=""
    [[ ${IOMMU:-on} == off ]] || iommu=",iommu_platform=on,ats=on"
    arguments+=(-netdev "$2,id=$1$queues"
        -device "virtio-net-pci,netdev=$1,mac=$3,disable-legacy=on,rx_queue_size=1024$vectors$iommu")
}

(($# == 1 || $# == 2)) || usage
image=$1 seed=${2:-} flavour=${FLAVOUR:-small}
[[ -e $image ]] || { echo "$image: there is no such image" >&2; exit 1; }
[[ -z $seed || -e $seed ]] || { echo "$seed: there is no such disk" >&2; exit 1; }
vcpus=$(size vcpus) workers=$(size workers) memory=$(size memory)
[[ $vcpus ]] || { echo "FLAVOUR=$flavour: flavours.toml has no such flavour" >&2; exit 1; }

case ${ACCEL:-kvm} in
    kvm) accel=kvm cpu="host,+invtsc,migratable=off" ;;
    tcg) accel="tcg,thread=multi" cpu=max ;;
    *) echo "ACCEL=$ACCEL: kvm or tcg" >&2; exit 1 ;;
esac
arguments=(
    -name "lwaftr,debug-threads=on" -no-user-config -nodefaults -display none
    -machine "q35,kernel-irqchip=split" -accel "$accel" -cpu "$cpu"
    -smp "$vcpus,sockets=1,cores=$vcpus,threads=1" -m "$memory"
    -serial mon:stdio -device i6300esb -watchdog-action reset -device virtio-rng-pci
    -drive "file=$image,if=virtio,format=qcow2,discard=unmap"
)
# A vSwitch behind vhost-user reads and writes packets where the guest has them.
if [[ -n ${HUGEPAGES:-} ]]; then
    backend="memory-backend-file,mem-path=$HUGEPAGES"
else
    backend="memory-backend-memfd"
fi
arguments+=(-object "$backend,id=memory,size=${memory}M,share=on" -numa "node,memdev=memory")
[[ -z $seed ]] || arguments+=(-drive "file=$seed,if=virtio,format=raw,readonly=on")
[[ -z ${UEFI:-} ]] || arguments+=(-drive "if=pflash,format=raw,readonly=on,file=$UEFI")
# It must be there before the devices whose memory it translates.
[[ ${IOMMU:-on} == off ]] || \
    arguments+=(-device "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on")

arguments+=(
    -netdev "${MANAGEMENT:-user,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8676-:8676},id=management"
    -device "virtio-net-pci,netdev=management,mac=52:54:00:00:00:00"
)
tap=script=no,downscript=no,vhost=on
[[ $accel == kvm ]] || tap=script=no,downscript=no
data_port external "${EXTERNAL:-tap,ifname=lwaftr-ext,$tap}" "${EXTERNAL_MAC:-52:54:00:00:00:01}"
data_port internal "${INTERNAL:-tap,ifname=lwaftr-int,$tap}" "${INTERNAL_MAC:-52:54:00:00:00:02}"
read -ra more <<<"${MORE:-}"
exec "${QEMU:-qemu-system-x86_64}" "${arguments[@]}" "${more[@]}"
