//! ICMPv6 (RFC 4443).

use std::net::Ipv6Addr;

use super::checksum::{self, Sum};
use super::{be16, protocol};

/// Bytes of a message's fixed part.
pub const HEADER: usize = 8;

/// Destination unreachable.
pub const UNREACHABLE: u8 = 1;
/// Packet too big.
pub const PACKET_TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Multicast listener query.
pub const LISTENER_QUERY: u8 = 130;
/// Multicast listener report (RFC 2710).
pub const LISTENER_REPORT_1: u8 = 131;
/// Multicast listener report of version 2 (RFC 3810).
pub const LISTENER_REPORT_2: u8 = 143;
/// All of multicast listener discovery: query, report and done, and version 2's report.
pub const LISTENER: [u8; 4] = [LISTENER_QUERY, LISTENER_REPORT_1, 132, LISTENER_REPORT_2];
/// Router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// Router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// Neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// Neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Redirect.
pub const REDIRECT: u8 = 137;

/// Code of [`UNREACHABLE`]: nobody listens.
pub const PORT_UNREACHABLE: u8 = 4;
/// Code of [`UNREACHABLE`]: source address failed ingress policy.
pub const SOURCE_POLICY: u8 = 5;

/// Code of [`TIME_EXCEEDED`]: fragments were missing.
pub const REASSEMBLY_TIMEOUT: u8 = 1;
/// Code of [`PARAMETER_PROBLEM`]: an option that is not known.
pub const UNKNOWN_OPTION: u8 = 2;

/// True for errors and redirects, which nothing may answer with an error (RFC 4443 section 2.4 e).
#[must_use]
pub const fn bars_errors(kind: u8) -> bool {
    kind < ECHO_REQUEST || kind == REDIRECT
}

/// A message whose fixed part is whole.
#[derive(Debug, Clone, Copy)]
pub struct Icmpv6<'a> {
    head: &'a [u8; HEADER],
    message: &'a [u8],
}

impl<'a> Icmpv6<'a> {
    /// The message in `payload` if its checksum is right; `None` when it is not, or cut short.
    #[must_use]
    pub fn parse(payload: &'a [u8], source: Ipv6Addr, destination: Ipv6Addr) -> Option<Self> {
        let head = payload.first_chunk()?;
        let verified = Sum::default()
            .pseudo_v6(source, destination, protocol::ICMPV6, payload.len())
            .bytes(payload)
            .verifies();
        verified.then_some(Self { head, message: payload })
    }

    /// Type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.head[0]
    }

    /// Code.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.head[1]
    }

    /// The last four bytes of the fixed part: in [`PACKET_TOO_BIG`], the MTU.
    #[must_use]
    pub fn last_word(&self) -> u32 {
        super::be32(self.head, 4)
    }

    /// What follows the fixed part: in an error, the packet it is about.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.message.get(HEADER..).unwrap_or_default()
    }

    /// All of it.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.message
    }
}

/// Makes an echo request at the start of `message` the reply to itself; source and destination of
/// the packet change places, which its checksum does not notice.
pub fn answer_echo(message: &mut [u8]) {
    if let Some(head) = message.first_chunk_mut::<HEADER>() {
        let old = be16(head, 0);
        head[0] = ECHO_REPLY;
        let sum = checksum::update(be16(head, 2), old, be16(head, 0));
        head[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Writes a message's type and code in front of its body, and the checksum over all.
pub fn write(message: &mut [u8], kind: u8, code: u8, source: Ipv6Addr, destination: Ipv6Addr) {
    if let Some(head) = message.first_chunk_mut::<4>() {
        *head = [kind, code, 0, 0];
    }
    let sum = Sum::default()
        .pseudo_v6(source, destination, protocol::ICMPV6, message.len())
        .bytes(message)
        .finish();
    if let Some(head) = message.first_chunk_mut::<4>() {
        head[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_verifies_between_its_addresses_only() {
        let (a, b) = (Ipv6Addr::LOCALHOST, "2001:db8::1".parse().unwrap());
        let mut message = [9; 21];
        write(&mut message, ECHO_REQUEST, 0, a, b);
        assert_eq!(Icmpv6::parse(&message, a, b).map(|icmp| icmp.kind()), Some(ECHO_REQUEST));
        assert!(Icmpv6::parse(&message, a, a).is_none());
        answer_echo(&mut message);
        assert_eq!(Icmpv6::parse(&message, b, a).map(|icmp| icmp.kind()), Some(ECHO_REPLY));
    }
}
