//! What addresses are good for.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

/// False for the networks that IANA's registry of special-purpose addresses (RFC 6890) calls not
/// globally reachable: a router on the way may drop what comes from them.
#[must_use]
pub fn is_globally_routable(address: Ipv4Addr) -> bool {
    const NOT: [([u8; 4], u8); 15] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    !NOT.iter().any(|&(octets, length)| {
        Ipv4Net::new(octets.into(), length).is_ok_and(|network| network.contains(&address))
    })
}

/// Why an IPv4 address cannot be a host's, if it cannot.
pub(super) fn ipv4_host_problem(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else {
        None
    }
}

/// Why an IPv6 address cannot be a host's, if it cannot.
pub(super) fn ipv6_host_problem(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("the loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routable_or_not() {
        for not in ["10.1.2.3", "100.127.255.255", "192.0.2.1", "198.19.0.1", "255.255.255.255"] {
            assert!(!is_globally_routable(not.parse().unwrap()), "{not}");
        }
        for yes in ["9.9.9.9", "100.128.0.0", "172.32.0.1", "198.20.0.0", "223.255.255.255"] {
            assert!(is_globally_routable(yes.parse().unwrap()), "{yes}");
        }
    }
}
