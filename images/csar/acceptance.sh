#!/bin/sh
# acceptance.sh [USER@]HOST: is the relay there in service? Asks it through its management port, by
# ssh. Changes nothing. Exit code 0: yes. SSH names another command than ssh, with its options.
set -u

[ $# -eq 1 ] || { echo "usage: $0 [USER@]HOST" >&2; exit 2; }
host=$1
failed=0

# try WHAT COMMAND: says whether the command succeeds there, and what it says if not.
try() {
    # SSH may have options.
    # shellcheck disable=SC2086
    if said=$(${SSH:-ssh -o BatchMode=yes -o ConnectTimeout=10} "$host" "$2" 2>&1 </dev/null); then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        printf '%s\n' "$said" | sed 's/^/          /'
        failed=1
    fi
}

try "cloud-init has finished, without errors" "cloud-init status --wait"
try "the configuration is what it can be" "sudo -n lwaftr check /etc/lwaftr/lwaftr.toml"
try "the machine is ready for it" "sudo -n lwaftr doctor /etc/lwaftr/lwaftr.toml"
try "the service runs" "systemctl is-active lwaftr.service"
try "it can forward both ways" "sudo -n lwaftr health"
try "no alarm is raised" "sudo -n lwaftr alarms"
exit $failed
