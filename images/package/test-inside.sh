#!/bin/bash
# Runs inside a fresh Debian, with first.deb and next.deb beside it.
set -euo pipefail
cd /root
export DEBIAN_FRONTEND=noninteractive

fail() { echo "FAILED: $*" >&2; exit 1; }
apt() { apt-get -q -y --no-install-recommends "$@" >/root/log 2>&1 || { cat /root/log; fail "apt-get $*"; }; }
# Everything but what dpkg and apt keep for themselves, what ends with a boot, and backups of /etc/group.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /root -o -path /tmp -o \
        -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /run -o \
        -name "group-" -o -name "gshadow-" \) -prune \
        -o -print | sort
}

# What the relay depends on is there before, so that the comparison is about the package alone.
apt update
apt install kmod libpcap0.8 libxdp1 libnuma1 libbsd0
files >before

apt install ./first.deb
version=$(lwaftr --version) || fail "lwaftr does not start"
[[ $version == "lwaftr $(dpkg-query -W -f '${Version}' lwaftr) (DPDK "* ]] || fail "version: $version"
! ldd /usr/bin/lwaftr | grep -E 'not found|librte' || fail "a library is missing, or DPDK is shared"
getent group lwaftr >/dev/null || fail "no group"
[[ $(stat -c '%a %G' /etc/lwaftr/lwaftr.toml) == "640 lwaftr" ]] || fail "rights of lwaftr.toml"
lwaftr check /etc/lwaftr/lwaftr.toml >/dev/null || fail "the first configuration is refused"
[[ -d /var/lib/lwaftr ]] || fail "no state directory"
for page in lwaftr lwaftr-prepare lwaftr-doctor; do
    man -w "$page" >/dev/null || fail "no man page $page"
done
bash -n /usr/share/bash-completion/completions/lwaftr
systemd-analyze verify --man=no /lib/systemd/system/lwaftr*.service 2>&1 | grep -i lwaftr && fail "units"
systemctl is-enabled lwaftr && fail "enabled before it is configured"

# It carries packets with the drivers that it brought: ports that need no hardware.
cat >/root/null.toml <<CONFIG
[external]
port = "net_null0"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "net_af_packet0,iface=lo"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
[softwires]
br-addresses = "2001:db8:ffff::1"
CONFIG
lwaftr run /root/null.toml >/root/run.log 2>&1 &
relay=$!
for _ in $(seq 100); do
    lwaftr status >/dev/null 2>&1 && break
    kill -0 $relay 2>/dev/null || break
    sleep 0.1
done
lwaftr stats >/dev/null || { cat /root/run.log; fail "it does not run"; }
kill $relay
wait $relay || fail "it did not end well"

# An operator's changes and choice survive an upgrade, and nobody is asked.
echo "# by hand" >>/etc/lwaftr/lwaftr.toml
echo kept >/var/lib/lwaftr/lwaftr.journal
systemctl enable -q lwaftr
apt install ./next.deb
[[ $(dpkg-query -W -f '${Version}' lwaftr) == *+next ]] || fail "not upgraded"
grep -q "# by hand" /etc/lwaftr/lwaftr.toml || fail "the upgrade lost the configuration"
[[ -f /var/lib/lwaftr/lwaftr.journal ]] || fail "the upgrade lost the journal"
systemctl is-enabled -q lwaftr || fail "the upgrade disabled the service"

apt remove lwaftr
[[ -f /etc/lwaftr/lwaftr.toml && -f /var/lib/lwaftr/lwaftr.journal ]] || fail "removal lost files"
[[ ! -e /usr/bin/lwaftr ]] || fail "removal left the program"

apt purge lwaftr
files >after
diff before after || fail "purging left or took files"
echo "installed, ran, upgraded, removed and purged"
