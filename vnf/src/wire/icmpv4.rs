//! ICMP (RFC 792).

use super::checksum::{self, Sum};
use super::{be16, protocol};

/// Bytes of a message's fixed part.
pub const HEADER: usize = 8;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Source quench.
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Router advertisement (RFC 1256).
pub const ROUTER_ADVERTISEMENT: u8 = 9;
/// Router solicitation (RFC 1256).
pub const ROUTER_SOLICITATION: u8 = 10;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;

/// Code of [`UNREACHABLE`]: no such host.
pub const HOST_UNREACHABLE: u8 = 1;
/// Code of [`UNREACHABLE`]: nobody listens.
pub const PORT_UNREACHABLE: u8 = 3;
/// Code of [`UNREACHABLE`]: too big, and must not be fragmented.
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// A message whose fixed part is whole.
#[derive(Debug, Clone, Copy)]
pub struct Icmpv4<'a> {
    head: &'a [u8; HEADER],
    message: &'a [u8],
}

impl<'a> Icmpv4<'a> {
    /// The message in `payload`; `None` when it is cut short.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        Some(Self { head: payload.first_chunk()?, message: payload })
    }

    /// Type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.head[0]
    }

    /// True when the checksum over the whole message is right.
    #[must_use]
    pub fn verifies(&self) -> bool {
        Sum::default().bytes(self.message).verifies()
    }

    /// Identifier of an echo request or reply.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        be16(self.head, 4)
    }

    /// What follows the fixed part: in an error, the packet it is about.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.message.get(HEADER..).unwrap_or_default()
    }
}

/// True for messages about other packets, which nothing may answer with an error (RFC 1122 3.2.2).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    matches!(kind, UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
}

/// True when `protocol` and the start of its payload are an ICMP error, or cannot be told not to
/// be one.
#[must_use]
pub fn may_be_error(protocol: u8, payload: &[u8]) -> bool {
    protocol == protocol::ICMPV4 && payload.first().is_none_or(|&kind| is_error(kind))
}

/// Makes an echo request at the start of `message` the reply to itself.
pub fn answer_echo(message: &mut [u8]) {
    if let Some(head) = message.first_chunk_mut::<HEADER>() {
        let old = be16(head, 0);
        head[0] = ECHO_REPLY;
        let sum = checksum::update(be16(head, 2), old, be16(head, 0));
        head[2..4].copy_from_slice(&sum.to_be_bytes());
        if sum == 0 {
            // Of a message of zeros the sum is zero, and its complement is not.
            write_checksum(message);
        }
    }
}

/// Writes an error's fixed part in front of its body, with the checksum over both. `rest` is the
/// last four bytes: in [`FRAGMENTATION_NEEDED`], the next-hop MTU.
pub fn write_error(message: &mut [u8], kind: u8, code: u8, rest: u32) {
    if let Some(head) = message.first_chunk_mut::<HEADER>() {
        *head = [kind, code, 0, 0, 0, 0, 0, 0];
        head[4..].copy_from_slice(&rest.to_be_bytes());
    }
    write_checksum(message);
}

fn write_checksum(message: &mut [u8]) {
    if let Some(field) = message.get_mut(2..4) {
        field.fill(0);
    }
    let sum = Sum::default().bytes(message).finish();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_verifies_and_a_truncated_message_is_none() {
        let mut message = [7; 36];
        write_error(&mut message, UNREACHABLE, FRAGMENTATION_NEEDED, 1460);
        let icmp = Icmpv4::parse(&message).unwrap();
        assert!(icmp.verifies());
        assert_eq!((icmp.kind(), be16(icmp.head, 6), icmp.body().len()), (3, 1460, 28));
        assert!(Icmpv4::parse(&message[..7]).is_none());
    }

    #[test]
    fn an_answer_keeps_everything_but_the_type() {
        let mut message = [0; 12];
        write_error(&mut message, ECHO_REQUEST, 0, 0x1234_0001);
        answer_echo(&mut message);
        let icmp = Icmpv4::parse(&message).unwrap();
        assert!(icmp.verifies());
        assert_eq!((icmp.kind(), icmp.identifier()), (ECHO_REPLY, 0x1234));
        let mut zeros = [0; 16];
        write_error(&mut zeros, ECHO_REQUEST, 0, 0);
        answer_echo(&mut zeros);
        assert_eq!(zeros[..4], [0, 0, 0xff, 0xff]);
    }
}
