# shellcheck shell=bash
# The customer side: a B4 with port translation into the softwire's port set.

# port_ranges OFFSET LENGTH PSID: the ports of a port set, one "FIRST-LAST" a line (RFC 7597,
# section 5.1). Without an offset that is one range; with one, a range in each block but the first.
port_ranges() {
    local a=$1 k=$2 psid=$3 m=$((16 - $1 - $2)) block first
    for ((block = a > 0; block < 1 << a; block++)); do
        first=$((block << (16 - a) | psid << m))
        echo "$first-$((first + (1 << m) - 1))"
    done
}

# b4_start NODE: a tunnel device `b4` towards the relay, the default route through it, and the
# translation. The host behind a real B4 has a 1500-byte LAN and says so in its TCP segments;
# `advmss` says the same here, so that it is path MTU discovery that has to find the 1460 bytes.
b4_start() {
    local node=$1
    b4_tunnel "$node"
    address "$node" b4 "${LAN[$node]}/32"
    route "$node" default dev b4 src "${LAN[$node]}" advmss 1460
    translate "$node" "$SHARED" $(port_ranges $PSID_OFFSET $PSID_LEN "${PSID[$node]}")
}

# b4_tunnel NODE: by the kernel where it can, by our TUN-based B4 otherwise (B4_KIND says which).
b4_tunnel() {
    local node=$1
    if [[ $B4_KIND != tun ]] && ip -n "$(namespace "$node")" link add b4 type ip6tnl mode ipip6 \
        local "${B4[$node]}" remote $BR dev wan0 2>>"$STATE/b4.log"; then
        # Whole packets only: a super-frame would be cut after the tunnel header is on.
        within "$node" ethtool -K b4 tso off gso off >/dev/null 2>&1 || true
        ip -n "$(namespace "$node")" link set b4 up
        echo ip6tnl >"$STATE/$node.b4"
        return
    fi
    [[ $B4_KIND != kernel ]] || fail "this kernel has no ip6tnl (see $STATE/b4.log)"
    # Subscriber 2 sends what Linux tunnels send by default: a tunnel encapsulation limit.
    local limit=()
    [[ $node != sub2 ]] || limit=(--encap-limit 4)
    ip netns exec "$(namespace "$node")" "$B4_PROGRAM" --tun b4 --local "${B4[$node]}" \
        --relay $BR "${limit[@]}" </dev/null >>"$STATE/b4.log" 2>&1 &
    wait_until 10 ip -n "$(namespace "$node")" link show b4 ||
        fail "the B4 of $node did not start: $(tail -n 3 "$STATE/b4.log")"
    ip -n "$(namespace "$node")" link set b4 mtu 1500 up
    echo tun >"$STATE/$node.b4"
}

# translate NODE ADDRESS FIRST-LAST...: source ports, and identifiers of ICMP, into the ranges,
# turn by turn where there are several.
translate() {
    local node=$1 address=$2 turns='' chains='' range turn=0
    for range in "${@:3}"; do
        turns+="${turns:+, }$turn : goto range$turn"
        chains+="chain range$turn { meta l4proto { tcp, udp, icmp } snat to $address:$range; }"$'\n'
        turn=$((turn + 1))
    done
    within "$node" nft -f - <<RULES
table ip b4 {
    $chains
    chain leave {
        type nat hook postrouting priority srcnat
        oifname "b4" numgen inc mod $turn vmap { $turns }
    }
    chain enter {
        type nat hook prerouting priority dstnat
    }
}
RULES
}

# first_port NODE: the first port of its port set.
first_port() { port_ranges $PSID_OFFSET $PSID_LEN "${PSID[$1]}" | sed 's/-.*//;q'; }

# open_port NODE: that port leads to the web server of the subscriber.
open_port() {
    within "$1" nft add rule ip b4 enter iifname b4 ip daddr $SHARED \
        tcp dport "$(first_port "$1")" dnat to "${LAN[$1]}:80"
}
