#!/usr/bin/env bash
# What a packet of each flood costs in instructions, against one that is forwarded (the mean of both
# ways): more than twice as much fails. Instructions, unlike times, are the same on a busy machine.
set -euo pipefail

MOST=2.00
ROUNDS=400
program=$TARGET_DIR/release/flooded
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# cost KIND: instructions of the relay for each packet.
cost() {
    local packets instructions
    packets=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect='*flooded*measured*' --log-file="$scratch/log" \
        "$program" "$1" $ROUNDS)
    instructions=$(sed -nE 's/.*Collected : ([0-9]+).*/\1/p' "$scratch/log")
    ((packets > 0 && instructions > 0)) || {
        echo "$1: nothing was counted" >&2
        cat "$scratch/log" >&2
        return 1
    }
    echo $((instructions / packets))
}

forwarded=$(cost forwarded)
echo "forwarded: $forwarded instructions a packet"
failed=0
for kind in table-miss spoofed-b4 icmp fragments neighbours; do
    flood=$(cost $kind)
    ratio=$(awk "BEGIN { printf \"%.2f\", $flood / $forwarded }")
    echo "$kind: $flood instructions a packet, $ratio times as much"
    if awk "BEGIN { exit !($ratio > $MOST) }"; then
        echo "$kind: more than $MOST times what a forwarded packet costs" >&2
        failed=1
    fi
done
exit $failed
