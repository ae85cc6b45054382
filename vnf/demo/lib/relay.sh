# shellcheck shell=bash
# The relay itself, and what it says about itself.

# relay_start: on a copy of the demo's configuration, because the demo edits the table; the copy
# also bears the run's ID, so that two runs do not share a control socket.
relay_start() {
    local cpus='cpus = [1]'
    (($(nproc) > 1)) || cpus='cpus = [0]'
    sed "s|^$SHARED,0,$PSID_LEN,|$SHARED,$PSID_OFFSET,$PSID_LEN,|" \
        "$ROOT/configs/demo-softwires.csv" >"$STATE/first.csv"
    cp "$STATE/first.csv" "$STATE/demo-softwires.csv"
    sed -e "s|^name = .*|name = \"demo-$ID\"|" \
        -e "s|^control-socket = .*|control-socket = \"$STATE/lwaftr.sock\"|" \
        -e "s|^cpus = .*|$cpus|" "$ROOT/configs/demo.toml" >"$STATE/demo.toml"
    STATE_DIRECTORY=$STATE/state ip netns exec "$(namespace relay)" "$LWAFTR" run "$STATE/demo.toml" \
        </dev/null >"$STATE/relay.log" 2>&1 &
    echo $! >"$STATE/relay.pid"
    wait_until 30 relay_answers_or_ended || true
    relay_answers >/dev/null 2>&1 || fail "the relay did not start"
}

relay_pid() { cat "$STATE/relay.pid"; }

# control VERB...: the relay's control socket. Not `stats`, so that a caller sees its exit code.
control() { "$LWAFTR" "$@" --socket "$STATE/lwaftr.sock"; }

relay_answers() { control stats --json; }

relay_answers_or_ended() { relay_answers || not_running "$(relay_pid)"; }

# relay_stop: only by the shell that started it, which alone learns the exit code.
relay_stop() {
    local code=0
    kill -TERM "$(relay_pid)"
    wait_until 10 not_running "$(relay_pid)" || fail "the relay did not stop within 10 s of SIGTERM"
    wait "$(relay_pid)" || code=$?
    ((code == 0)) || fail "the relay ended with exit code $code after SIGTERM"
}

# stat FILTER: one number out of the statistics, by a jq filter; what is not there is 0.
stat() { control stats --json | jq -e "($1) // 0"; }

# dropped SIDE REASON: packets dropped.
dropped() { stat ".interfaces.$1.drops.\"$2\".packets"; }

# Every frame that came in is accounted for exactly once, and so is every frame that went out.
# Counters of a frame under way may lag: true within 5 s of silence, or not at all.
balanced() {
    control stats --json | jq -e '
        def came: ."in-packets" + ."reassembled-packets";
        def went: ."forwarded-packets" + ."hairpinned-packets" + ."answered-packets"
            + ."consumed-packets" + ."ignored-packets" + ."absorbed-packets"
            + ([.drops[].packets] | add // 0) + ."held-packets";
        def made: ."hairpinned-packets" + ."answered-packets" + ."originated-packets"
            + ."extra-fragments";
        .interfaces | .external as $e | .internal as $i
        | ($e | came > 0 and came == went) and ($i | came > 0 and came == went)
        and $e."out-packets" == $i."forwarded-packets" + ($e | made)
        and $i."out-packets" == $e."forwarded-packets" + ($i | made)'
}

# table FIRST LAST: the demo's table and a port set for each of the 64 subscribers on each of the
# addresses 203.0.113.FIRST to 203.0.113.LAST. Published by rename, as an operator should.
table() {
    local host psid
    {
        cat "$STATE/first.csv"
        for ((host = $1; host <= $2; host++)); do
            for ((psid = 0; psid < 64; psid++)); do
                printf '203.0.113.%d,0,6,%d,2001:db8:1000:%x::%x,%s\n' \
                    $host $psid $host $((psid + 1)) $BR
            done
        done
    } >"$STATE/table.new"
    mv "$STATE/table.new" "$STATE/demo-softwires.csv"
}
