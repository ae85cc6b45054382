#!/usr/bin/env bash
# Sets DPDK and virtual ports up and tears them down under valgrind, as root: any bad access, and
# any block that nobody can reach afterwards, is an error. What DPDK itself does is in
# dpdk.supp, with the reason. Valgrind does not see inside packet buffers; other tests look there.
set -euo pipefail
cd "$(dirname "$0")/../.."

TESTS=(ring null pcap_with_jumbo_frames)

program=${1:?run.sh PROGRAM: the test program dpdk_vdev, as make test-deep finds it}

for test in "${TESTS[@]}"; do
    echo "valgrind: $test"
    # The name tells the test that it has a process and a namespace of its own already.
    LWAFTR_TEST_ALONE=$test timeout 180 unshare --net valgrind --quiet --error-exitcode=9 \
        --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --suppressions=tests/valgrind/dpdk.supp --num-callers=24 \
        "$program" "$test" --exact --test-threads=1 |
        grep -q '1 passed' || { echo "valgrind: $test failed" >&2; exit 1; }
done
