#!/usr/bin/env bash
# Real hosts talk to each other through softwires that lwaftr carries, in network namespaces.
#
#   demo.sh               the whole demo, narrated; KEEP=1 leaves it running
#   demo.sh up ID         only what the demo runs on, under that name
#   demo.sh step ID STEP  one step of a running demo
#   demo.sh down [ID]     ends a running demo, or all of them
#
# LWAFTR and B4_PROGRAM name the programs to use (default: the release build); B4_KIND is
# `kernel`, `tun`, or `auto`. Needs root; touches nothing outside its own namespaces and its own
# directory below /run/lwaftr-demo. Usually called by `make demo`.
set -Eeuo pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
RUNS=/run/lwaftr-demo
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
LWAFTR=${LWAFTR:-$TARGET/release/lwaftr}
B4_PROGRAM=${B4_PROGRAM:-$TARGET/release/examples/b4}
B4_KIND=${B4_KIND:-auto}
export PATH=$PATH:/usr/sbin:/sbin

# shellcheck source=lib/topology.sh
. "$ROOT/vnf/demo/lib/topology.sh"
# shellcheck source=lib/b4.sh
. "$ROOT/vnf/demo/lib/b4.sh"
# shellcheck source=lib/relay.sh
. "$ROOT/vnf/demo/lib/relay.sh"
# shellcheck source=lib/steps.sh
. "$ROOT/vnf/demo/lib/steps.sh"

say() { printf '\n%s\n' "* $*"; }
result() { echo "  $*"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

trap '(($? > 128)) || echo "FAILED: $BASH_COMMAND (${BASH_SOURCE[0]##*/}, line $LINENO)" >&2' ERR

usage() {
    sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
    exit 2
}

use_run() {
    [[ $1 =~ ^[a-zA-Z0-9]+$ ]] || fail "a run's ID is letters and digits, not '$1'"
    ID=$1
    STATE=$RUNS/$ID
}

check_tools() {
    local tool missing=()
    for tool in ip ethtool nft ping traceroute iperf3 curl jq /usr/bin/python3 \
        "$LWAFTR" "$B4_PROGRAM"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || fail "missing: ${missing[*]}; \`make demo\` installs and builds them"
    ((EUID == 0)) || fail "namespaces need root; \`make demo\` uses sudo where it must"
}

up() {
    check_tools
    mkdir -p $RUNS
    mkdir "$STATE" || fail "there is a run $ID already; end it: $0 down $ID"
    mkdir "$STATE/www"
    head -c 16777216 /dev/urandom >"$STATE/www/noise"
    sha256sum <"$STATE/www/noise" >"$STATE/noise.sha256"
    topology_up
    relay_start
    b4_start sub1
    b4_start sub2
    open_port sub2
    serve host $SERVER
    serve sub2 "${LAN[sub2]}"
    ip netns exec "$(namespace host)" iperf3 -s -B $SERVER </dev/null >"$STATE/iperf3.log" 2>&1 &
    # First packets wait for neighbours to resolve, servers take a moment: ready is when both
    # subscribers got through.
    wait_until 20 within sub1 ping -n -c 1 -W 1 $SERVER || fail "subscriber 1 got no answer"
    wait_until 20 within sub2 ping -n -c 1 -W 1 $SERVER || fail "subscriber 2 got no answer"
    wait_until 10 within host curl -sS -m 1 -o /dev/null -I http://$SERVER/ || fail "no web server"
    wait_until 10 within sub2 curl -sS -m 1 -o /dev/null -I "http://${LAN[sub2]}/" ||
        fail "no web server at subscriber 2"
}

# serve NODE ADDRESS: the noise by HTTP.
serve() {
    ip netns exec "$(namespace "$1")" /usr/bin/python3 "$ROOT/vnf/demo/web.py" "$2" "$STATE/www" \
        </dev/null >>"$STATE/web.log" 2>&1 &
}

down() {
    topology_down
    rm -rf "$STATE"
}

down_all() {
    local state
    for state in "$RUNS"/*/; do
        [[ -d $state ]] || continue
        use_run "$(basename "$state")"
        down
    done
}

step() {
    declare -F "step_$1" >/dev/null || fail "no step '$1'; there are: ${STEPS[*]}"
    "step_$1"
}

# However the demo ends: say why if it failed, and leave nothing behind.
finish() {
    local code=$?
    trap '' INT TERM HUP
    set +e
    if ((code == 129 || code == 130 || code == 143)); then
        printf '\n%s\n' "Interrupted."
    elif ((code != 0)) && [[ -e $STATE/relay.log ]]; then
        echo "The last lines of the relay's log:" >&2
        tail -n 20 "$STATE/relay.log" >&2
    fi
    if ((code == 0)) && [[ -n ${KEEP:-} ]]; then
        how_to_play
    else
        down
        echo "Everything the demo set up is removed again."
    fi
    exit $code
}

how_to_play() {
    cat <<PLAY

It keeps running. To play with it, as root:
  a shell at subscriber 1        ip netns exec $(namespace sub1) bash      (try: ping $SERVER)
  a shell at the Internet host   ip netns exec $(namespace host) bash
  the tunnel, packet by packet   ip netns exec $(namespace access) tcpdump -ni relay0
  who owns a port                $LWAFTR softwire lookup $SHARED:$(first_port sub1) --socket $STATE/lwaftr.sock
  counters, latency              $LWAFTR stats --socket $STATE/lwaftr.sock      (or: latency)
  change the table               edit $STATE/demo-softwires.csv, then
                                 $LWAFTR reload --socket $STATE/lwaftr.sock
  the log                        $STATE/relay.log
When you are done:               $ROOT/vnf/demo/demo.sh down $ID
PLAY
}

whole_demo() {
    local name id=$$
    while [[ -e $RUNS/$id ]]; do id+=x; done
    use_run "$id"
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    echo "Run $ID: two subscribers, an access router, the relay, an Internet host; a namespace each."
    up
    for name in "${STEPS[@]}"; do step "$name"; done
    relay_stop_unless_kept
    say "All ${#STEPS[@]} steps passed."
}

relay_stop_unless_kept() {
    [[ -z ${KEEP:-} ]] || return 0
    relay_stop
}

case ${1:-demo} in
demo) whole_demo ;;
up) [[ $# == 2 ]] || usage; use_run "$2"; up ;;
step) [[ $# == 3 ]] || usage; use_run "$2"; step "$3" ;;
down) if [[ $# == 1 ]]; then down_all; else use_run "$2"; down; fi ;;
*) usage ;;
esac
