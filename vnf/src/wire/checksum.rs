//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A running sum of 16-bit words. Pieces must start at even offsets of what is summed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last one counts as the high half of a word.
    #[inline]
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Native-order words are summed and swapped once in the end: one's complement addition
        // does not care (RFC 1071 section 2 B).
        let mut sum = 0_u64;
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let (halves, last) = rest.as_chunks::<2>();
        for half in halves {
            sum += u64::from(u16::from_ne_bytes(*half));
        }
        if let [byte] = last {
            sum += u64::from(u16::from_ne_bytes([*byte, 0]));
        }
        Self(self.0 + u64::from(fold(sum).to_be()))
    }

    /// Adds one word, in host order.
    #[inline]
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// Adds the pseudo-header of a transport in IPv4.
    #[must_use]
    pub fn pseudo_v4(
        self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        len: usize,
    ) -> Self {
        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .word(u16::from(protocol))
            .word(len as u16)
    }

    /// Adds the pseudo-header of an upper-layer protocol in IPv6 (RFC 8200 section 8.1).
    #[must_use]
    pub fn pseudo_v6(
        self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        next_header: u8,
        len: usize,
    ) -> Self {
        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .word((len >> 16) as u16)
            .word(len as u16)
            .word(u16::from(next_header))
    }

    /// The checksum to write: the complement of the sum.
    #[inline]
    #[must_use]
    pub fn finish(self) -> u16 {
        !fold(self.0)
    }

    /// True when the bytes summed, a checksum among them, verify.
    #[inline]
    #[must_use]
    pub fn verifies(self) -> bool {
        fold(self.0) == 0xffff
    }
}

/// True when an IPv4 header without options verifies: what nearly every packet needs, and half of
/// the work of a general sum. A one's complement sum that is all ones is a multiple of 2^16 - 1,
/// in whatever order the bytes of its words are.
#[inline]
#[must_use]
pub fn verifies_header(head: &[u8; 20]) -> bool {
    let (words, _) = head.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    sum != 0 && sum.is_multiple_of(0xffff)
}

/// The sum of a 64-bit word's halves: of sums of these, only the remainder by 2^16 - 1 matters.
#[inline(always)]
#[must_use]
pub const fn sum_of_halves(word: u64) -> u64 {
    (word >> 32) + (word & 0xffff_ffff)
}

/// The checksum after one 16-bit word of what it covers changed (RFC 1624 equation 3).
#[inline]
#[must_use]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

/// The checksum after the sum of what it covers changed by `difference`, in one's complement: the
/// same as [`update`] where that is known beforehand.
#[inline]
#[must_use]
pub fn update_by(checksum: u16, difference: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(difference);
    !((sum >> 16) as u16).wrapping_add(sum as u16)
}

#[inline]
fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_sum(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Sum::default().bytes(&bytes).finish(), naive(&bytes));
        }

        #[test]
        fn a_header_verifies_as_its_sum_does(mut head: [u8; 20], right: bool) {
            if right {
                head[10..12].fill(0);
                let sum = naive(&head);
                head[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            prop_assert_eq!(verifies_header(&head), Sum::default().bytes(&head).verifies());
            prop_assert!(!right || verifies_header(&head));
        }

        #[test]
        fn an_update_is_a_new_sum(mut bytes in prop::collection::vec(any::<u8>(), 20..60), word: u16) {
            let at = 8;
            let before = naive(&bytes);
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
            // Both zeros are equal in one's complement; a sum of real headers is never all zero.
            prop_assume!(bytes.iter().any(|&byte| byte != 0));
            prop_assert_eq!(update(before, old, word), naive(&bytes));
        }
    }

    #[test]
    fn a_known_difference_is_an_update() {
        for checksum in 0..=u16::MAX {
            for ttl in [0x0100, 0x4006, 0xffff] {
                let same = update(checksum, ttl, ttl - 0x0100);
                assert_eq!(update_by(checksum, !0x0100), same, "{checksum:x} {ttl:x}");
            }
        }
    }

    #[test]
    fn nothing_but_zeros_does_not_verify() {
        assert!(!verifies_header(&[0; 20]));
        assert!(!Sum::default().bytes(&[0; 20]).verifies());
    }

    #[test]
    fn verifies_rfc_1071_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        let sum = Sum::default().bytes(&bytes);
        assert_eq!(sum.finish(), !0xddf2);
        assert!(sum.word(sum.finish()).verifies());
    }
}
