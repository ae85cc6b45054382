# shellcheck shell=bash
# What the demo shows, a function a step. Each says in a line what it does, does it, and fails
# loudly when something is not as it should be. The end-to-end tests run the same steps.

readonly STEPS=(ping download bulk traceroute hairpin spoof reload counters)

step_ping() {
    local node
    say "Ping: each subscriber reaches $SERVER, through NAT into its own ports and its softwire."
    for node in sub1 sub2; do
        ping_without_loss "$node" 5 0.2
        result "$node ($SHARED, ports $(port_ranges $PSID_OFFSET $PSID_LEN "${PSID[$node]}"))," \
            "B4 by $(cat "$STATE/$node.b4"): $(tail -n 1 "$STATE/ping.$node")"
    done
}

step_download() {
    say "HTTP: subscriber 1 downloads 16 MiB of noise and compares the checksum."
    fetch sub1 "http://$SERVER/noise"
    result "sha256 is right, $(cat "$STATE/fetch.sub1") bytes a second"
}

step_bulk() {
    local direction way=([0]=up [1]=down) flags=([0]='' [1]=-R) rate
    say "Bulk TCP, 1500 bytes everywhere: 40 of them go to the tunnel. The relay tells the host" \
        "(ICMPv4 3/4) that 1460 fit; nobody is configured to know."
    for direction in 0 1; do
        # shellcheck disable=SC2086  # no flag is no argument
        within sub1 timeout --foreground 60 iperf3 -c $SERVER -t 2 ${flags[direction]} -J >"$STATE/iperf" ||
            fail "iperf3 ${way[direction]}: $(jq -r '.error // "timed out"' "$STATE/iperf")"
        rate=$(jq '.end.sum_received.bits_per_second / 1e6 | round' "$STATE/iperf")
        ((rate > 0)) || fail "iperf3 ${way[direction]}: nothing arrived"
        result "${way[direction]}: $rate Mbit/s"
    done
    ip -n "$(namespace host)" route get $SHARED | grep -q 'mtu 1460' ||
        fail "the Internet host did not learn the path MTU of 1460 bytes"
    (($(dropped external too-big) > 0)) || fail "the relay counted no packet as too big"
    result "the host has learned: $(ip -n "$(namespace host)" route get $SHARED |
        grep -o 'mtu [0-9]*') towards $SHARED"
}

step_traceroute() {
    local hops
    say "Traceroute: the relay is an IPv4 router and shows up as one, between NAT and host."
    hops=$(within sub1 traceroute -n -q 1 -w 3 -m 5 $SERVER | awk '$1 ~ /^[0-9]+$/ { print $2 }')
    [[ $hops == "$RELAY_EXTERNAL"$'\n'"$SERVER" ]] ||
        fail "the hops are" $hops "instead of $RELAY_EXTERNAL $SERVER"
    result $hops
}

step_hairpin() {
    local before after port
    port=$(first_port sub2)
    say "Hairpin: subscriber 1 downloads from subscriber 2, at the address they share." \
        "The relay turns the packets round; the Internet never sees them."
    before=$(stat '.interfaces.internal."hairpinned-packets"')
    fetch sub1 "http://$SHARED:$port/noise"
    after=$(stat '.interfaces.internal."hairpinned-packets"')
    ((after > before)) || fail "the download worked, but no packet was counted as hairpinned"
    result "from $SHARED:$port, sha256 is right, $((after - before)) packets turned round"
}

step_spoof() {
    local before refusal
    say "Spoofing: subscriber 1 sends from a port of subscriber 2. The relay refuses."
    before=$(dropped internal source-wrong-b4)
    refusal=$(within sub1 /usr/bin/python3 "$ROOT/vnf/demo/spoof.py" "${B4[sub1]}" $BR \
        $SHARED "$(first_port sub2)") || fail "the spoofed packet was not refused"
    (($(dropped internal source-wrong-b4) == before + 1)) ||
        fail "source-wrong-b4 did not move by one"
    result "$refusal; drops.source-wrong-b4 moved by one"
}

step_reload() {
    local pinging refused=0
    say "Reload: the table grows from 3 softwires to 1027, and a truncated file is refused," \
        "while a ping runs 50 times a second."
    ping_without_loss sub1 200 0.02 &
    pinging=$!
    sleep 1
    table 16 31
    control reload >/dev/null || fail "the reload was refused"
    (($(stat .softwires) == 1027)) || fail "there are $(stat .softwires) softwires, not 1027"
    sleep 0.5
    table 16 17
    control reload >"$STATE/refusal" 2>&1 || refused=$?
    ((refused == 1)) || fail "the truncated table was not refused (exit code $refused)"
    (($(stat .softwires) == 1027)) || fail "a refused table changed the running one"
    wait $pinging || fail "the ping lost replies: $(tail -n 2 "$STATE/ping.sub1" | head -n 1)"
    result "$(tail -n 2 "$STATE/ping.sub1" | head -n 1)"
    result "refused: $(head -n 1 "$STATE/refusal")"
    table 16 31
}

step_counters() {
    local direction
    say "Counters: every frame is accounted for exactly once, and latency is measured, not guessed."
    step_balance
    control stats
    control latency
    for direction in encap decap hairpin; do
        control latency --json | jq -e ".$direction | .count > 0 and .p50 <= .p90
            and .p90 <= .p99 and .p99 <= .p999 and .p999 <= .max and .max > 0" >/dev/null ||
            fail "no sensible latency of $direction: $(control latency --json)"
    done
}

# Not a step of its own in the demo, but of the tests.
step_balance() {
    wait_until 5 balanced || fail "the counters do not balance: $(control stats --json)"
    result "in + reassembled = forwarded + hairpinned + answered + ... + drops, on both sides"
}

# ping_without_loss NODE COUNT INTERVAL: every single reply must come back.
ping_without_loss() {
    within "$1" ping -n -c "$2" -i "$3" -W 5 $SERVER >"$STATE/ping.$1" 2>&1 &&
        grep -q "$2 packets transmitted, $2 received" "$STATE/ping.$1" ||
        fail "$1 cannot ping $SERVER without loss: $(tail -n 2 "$STATE/ping.$1" | head -n 1)"
}

# fetch NODE URL: downloads the noise and compares it with what the server has.
fetch() {
    within "$1" curl -sS -m 60 -o "$STATE/fetched" -w '%{speed_download}' "$2" >"$STATE/fetch.$1" ||
        fail "$1 cannot download $2"
    cmp "$STATE/fetched" "$STATE/www/noise" || fail "$1 downloaded something else from $2"
    [[ $(sha256sum <"$STATE/fetched") == "$(cat "$STATE/noise.sha256")" ]] ||
        fail "the sha256 of $2 is wrong"
    rm "$STATE/fetched"
}
