//! P1: which kind of other people's group traffic a packet is.

use crate::bytes::be16;

const IGMP: u8 = 2;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// By what it carries, or else by the group: the last octet of one of the link's.
pub(crate) fn kind(protocol: u8, payload: &[u8], group: Option<u8>) -> &'static str {
    if protocol == AUTHENTICATION && payload.len() > 1 {
        let behind = payload.get(8 + 4 * usize::from(payload[1])..).unwrap_or_default();
        return kind_of(payload[0], behind, group);
    }
    kind_of(protocol, payload, group)
}

fn kind_of(protocol: u8, payload: &[u8], group: Option<u8>) -> &'static str {
    match protocol {
        IGMP => "multicast",
        // EIGRP, OSPF, PIM, VRRP.
        88 | 89 | 103 | 112 => "routing",
        58 => match payload.first() {
            Some(130 | 131 | 132 | 143) => "multicast",
            Some(133 | 134 | 137) => "router-discovery",
            Some(135 | 136) => "ndp",
            _ => "other-multicast",
        },
        1 => match payload.first() {
            Some(9 | 10) => "router-discovery",
            _ => "other-multicast",
        },
        UDP if payload.len() >= 4
            && [520, 521, 646, 698, 1985, 2029, 3222, 6696].contains(&be16(payload, 2)) =>
        {
            "routing"
        }
        _ if matches!(group, Some(5 | 6 | 9 | 10 | 13 | 18 | 102 | 109)) => "routing",
        _ => "other-multicast",
    }
}

/// The same of a whole IPv6 packet, through whatever headers it has within the bounds of P4.
pub(crate) fn kind6(packet: &[u8]) -> &'static str {
    let group = &packet[24..40];
    let group = (group[..2] == [0xff, 2] && group[2..15] == [0; 13]).then_some(group[15]);
    let Some((mut protocol, mut payload)) = walk(packet[6], &packet[40..]) else {
        return kind(packet[6], &[], group);
    };
    if protocol == FRAGMENT {
        if payload.is_empty() {
            return kind(FRAGMENT, &[], group);
        }
        protocol = payload[0];
        let is_first = payload.len() >= 8 && be16(payload, 2) >> 3 == 0;
        payload = if is_first { &payload[8..] } else { &[] };
    }
    kind(protocol, payload, group)
}

/// What stands behind its headers, if they end within those bounds.
pub(crate) fn protocol6(packet: &[u8]) -> Option<u8> {
    walk(packet[6], &packet[40..]).map(|(protocol, _)| protocol)
}

fn walk(mut next: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    let (mut headers, mut bytes) = (0, 0);
    while matches!(next, 0 | 43 | 60) {
        if headers == 8 || next == 0 && headers > 0 {
            return None;
        }
        let len = (usize::from(*rest.get(1)?) + 1) * 8;
        headers += 1;
        bytes += len;
        if bytes > 256 {
            return None;
        }
        (next, rest) = (rest[0], rest.get(len..)?);
    }
    Some((next, rest))
}
