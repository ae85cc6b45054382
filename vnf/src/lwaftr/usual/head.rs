//! The head of an IPv4 packet without options, as a usual packet has it: read once, in words.

use crate::softwire::Key;
use crate::wire::{checksum, ipv4, protocol};

/// An IPv4 header without options, and the ports behind it.
pub(super) const IPV4_AND_PORTS: usize = ipv4::HEADER + 4;

/// Eight bytes of a header.
#[inline(always)]
pub(super) fn word<const N: usize>(head: &[u8; N], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&head[at..at + 8]);
    u64::from_be_bytes(bytes)
}

/// The first 24 bytes of an IPv4 packet without options: header and ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Version to fragment offset, TTL to source address.
    words: [u64; 2],
    pub(super) destination: u32,
    pub(super) ports: u32,
}

impl Head {
    #[inline(always)]
    pub(super) fn read(bytes: &[u8; IPV4_AND_PORTS]) -> Self {
        let last = word(bytes, 16);
        Self {
            words: [word(bytes, 0), word(bytes, 8)],
            destination: (last >> 32) as u32,
            ports: last as u32,
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        usize::from((self.words[0] >> 32) as u16)
    }

    #[inline(always)]
    pub(super) fn tos(&self) -> u8 {
        (self.words[0] >> 48) as u8
    }

    #[inline(always)]
    pub(super) fn ttl(&self) -> u8 {
        (self.words[1] >> 56) as u8
    }

    #[inline(always)]
    pub(super) fn protocol(&self) -> u8 {
        (self.words[1] >> 48) as u8
    }

    /// TCP or UDP: asked without a branch between them, because that would be taken at random.
    #[inline(always)]
    fn has_ports(&self) -> bool {
        const HAVE: u64 = 1 << protocol::UDP | 1 << protocol::TCP;
        let protocol = self.protocol();
        protocol < 64 && HAVE >> (protocol % 64) & 1 == 1
    }

    #[inline(always)]
    pub(super) fn source(&self) -> u32 {
        self.words[1] as u32
    }

    /// What its destination is looked up by.
    #[inline(always)]
    pub(super) fn destination_key(&self) -> Key {
        Key::with_port(self.destination, self.ports as u16)
    }

    /// Writes TTL and checksum for the next link to the packet that it is the head of.
    #[inline(always)]
    pub(super) fn write_decremented(&self, bytes: &mut [u8; IPV4_AND_PORTS]) {
        const TTL: u32 = 1 << 24;
        let word = (self.words[1] >> 32) as u32;
        let sum = ipv4::decremented(word as u16);
        let word = word.wrapping_sub(TTL) & 0xffff_0000 | u32::from(sum);
        bytes[8..12].copy_from_slice(&word.to_be_bytes());
    }

    /// No options, no fragment, ports, and a checksum that verifies, unless the port has `verified`
    /// it.
    #[inline(always)]
    pub(super) fn is_plain(&self, verified: bool) -> bool {
        /// Version and header length; more fragments, and the offset.
        const FORM: u64 = 0xff00_0000_0000_3fff;
        let is_plain = (self.words[0] & FORM) == 0x45 << 56 && self.has_ports();
        is_plain && (verified || self.verifies())
    }

    /// Is its checksum right?
    #[inline(always)]
    fn verifies(&self) -> bool {
        let sum = checksum::sum_of_halves(self.words[0])
            + checksum::sum_of_halves(self.words[1])
            + u64::from(self.destination);
        // Not all zeros, as the version is not.
        sum.is_multiple_of(0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_that_the_port_has_verified_is_not_verified_again() {
        let mut packet = [0; IPV4_AND_PORTS];
        let head = packet.first_chunk_mut().unwrap();
        let (from, to) = ([198, 18, 0, 1].into(), [203, 0, 113, 7].into());
        ipv4::write_header(head, 28, 64, protocol::UDP, from, to);
        let is_plain =
            |packet: &[u8; IPV4_AND_PORTS], verified| Head::read(packet).is_plain(verified);
        assert!(is_plain(&packet, false) && is_plain(&packet, true));
        packet[10] ^= 1;
        assert!(!is_plain(&packet, false), "software finds it wrong");
        assert!(is_plain(&packet, true), "whoever vouches for it is believed");
        packet[0] = 0x46;
        assert!(!is_plain(&packet, true), "for nothing but the checksum");
    }
}
