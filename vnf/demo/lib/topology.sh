# shellcheck shell=bash
# The little Internet of the demo: five network namespaces and the links between them.
#
#   subscriber 1 --.
#                   access router ---- relay ---- Internet host
#   subscriber 2 --'   (IPv6 only)   int0   ext0   (IPv4 only)
#
# Everything is named after the run's ID, so that runs side by side, or what a killed run left
# behind, never meet. The addresses are the same in every run: they live inside the namespaces.

readonly NODES=(sub1 sub2 access relay host)

readonly BR=2001:db8::1                  # the relay's tunnel endpoint
readonly RELAY_INTERNAL=2001:db8:100::1
readonly RELAY_EXTERNAL=192.0.2.1
readonly ACCESS=2001:db8:100::fe
readonly HOST=192.0.2.254
readonly SERVER=198.51.100.10            # a second address of the Internet host
declare -rA B4=([sub1]=2001:db8:1::2 [sub2]=2001:db8:2::2)
declare -rA LAN=([sub1]=192.168.1.10 [sub2]=192.168.2.10)

# Both subscribers live behind one IPv4 address: 64 port sets of 1024 ports each. With an offset,
# which a test may set, a port set is many small ranges instead of one.
readonly SHARED=203.0.113.7
readonly PSID_OFFSET=${PSID_OFFSET:-0} PSID_LEN=6
declare -rA PSID=([sub1]=3 [sub2]=4)

namespace() { echo "lwd-$ID-$1"; }

# within NODE COMMAND...: runs the command inside that node.
within() { ip netns exec "$(namespace "$1")" "${@:2}"; }

# kernel_setting NODE KEY VALUE, the key as a path below /proc/sys/net.
kernel_setting() { within "$1" sh -c "echo $3 > /proc/sys/net/$2"; }

# link NODE DEVICE NODE DEVICE: a cable. A veth pair hands over frames with unfinished checksums
# and super-frames unless told not to, and the relay forwards what it gets. One queue: the relay
# reads one.
link() {
    ip link add "$2" netns "$(namespace "$1")" numrxqueues 1 numtxqueues 1 type veth \
        peer name "$4" netns "$(namespace "$3")" numrxqueues 1 numtxqueues 1
    plug_in "$1" "$2"
    plug_in "$3" "$4"
}

plug_in() {
    within "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null
    if [[ $1 == relay ]]; then
        # The relay itself speaks here; the kernel's own stack must not say a word.
        ip -n "$(namespace "$1")" link set "$2" addrgenmode none arp off
    fi
    ip -n "$(namespace "$1")" link set "$2" up
}

# address NODE DEVICE ADDRESS/LENGTH; no duplicate address detection: nothing to wait for.
address() {
    case $3 in
    *:*) ip -n "$(namespace "$1")" address add "$3" dev "$2" nodad ;;
    *) ip -n "$(namespace "$1")" address add "$3" dev "$2" ;;
    esac
}

route() { ip -n "$(namespace "$1")" route add "${@:2}"; }

topology_up() {
    local node
    for node in "${NODES[@]}"; do
        ip netns add "$(namespace "$node")"
        ip -n "$(namespace "$node")" link set lo up
    done
    kernel_setting relay ipv6/conf/all/disable_ipv6 1
    kernel_setting relay ipv6/conf/default/disable_ipv6 1

    link sub1 wan0 access sub1
    link sub2 wan0 access sub2
    link access relay0 relay int0
    link relay ext0 host eth0

    address access sub1 2001:db8:1::1/64
    address access sub2 2001:db8:2::1/64
    address access relay0 $ACCESS/64
    kernel_setting access ipv6/conf/all/forwarding 1
    route access $BR via $RELAY_INTERNAL

    for node in sub1 sub2; do
        address "$node" wan0 "${B4[$node]}/64"
        route "$node" default via "${B4[$node]%::2}::1"
    done

    address host eth0 $HOST/24
    address host lo $SERVER/32
    route host 203.0.113.0/24 via $RELAY_EXTERNAL
}

# Ends what runs in the namespaces, then removes them. Safe on half a topology, and on none.
topology_down() {
    local node pids
    for node in "${NODES[@]}"; do
        [[ -e /run/netns/$(namespace "$node") ]] || continue
        mapfile -t pids < <(ip netns pids "$(namespace "$node")" 2>/dev/null)
        end_processes "${pids[@]}"
        ip netns delete "$(namespace "$node")" || true
    done
}

# running PID: a process that has ended but was not waited for does not count.
running() { [[ -r /proc/$1/stat ]] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

# end_processes PID...: politely, then not.
end_processes() {
    local pid signal
    for signal in TERM KILL; do
        for pid; do
            # A stopped process takes the signal once it goes on.
            kill -s "$signal" "$pid" 2>/dev/null && kill -s CONT "$pid" 2>/dev/null || true
        done
        for pid; do
            wait_until 5 not_running "$pid" || true
        done
    done
}

not_running() { ! running "$1"; }

# wait_until SECONDS COMMAND...: asks again and again until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1))
    until "${@:2}" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}
