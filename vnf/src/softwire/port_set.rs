//! Port sets (RFC 7597 section 5.1): how the 16 bits of a port tell the subscribers of one shared
//! IPv4 address apart.
//!
//! ```text
//!   bit 15                                 bit 0
//!   +-----------+-----------+------------------+
//!   |  A (a bits)| PSID (k) |     j (m bits)   |      a + k + m = 16
//!   +-----------+-----------+------------------+
//! ```
//!
//! With a > 0, A = 0 (the ports below 2^(16-a)) belongs to nobody. With k = 0 the softwire has the
//! whole address: every protocol and every port, whatever a is.

use std::fmt;
use std::ops::RangeInclusive;

/// The ports one softwire owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortSet {
    offset: u8,
    length: u8,
    psid: u16,
}

/// Why three numbers are not a port set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortSetError {
    /// More than the 16 bits of a port.
    #[error("psid-offset {offset} + psid-len {length} is more than the 16 bits of a port")]
    TooManyBits {
        /// PSID offset a.
        offset: u8,
        /// PSID length k.
        length: u8,
    },
    /// The PSID needs more bits than its length gives it.
    #[error("psid {psid} does not fit psid-len {length} (largest is {largest})")]
    PsidTooBig {
        /// The PSID.
        psid: u16,
        /// PSID length k.
        length: u8,
        /// 2^k - 1.
        largest: u16,
    },
}

impl PortSet {
    /// The whole address: k = 0.
    pub const WHOLE_ADDRESS: Self = Self { offset: 0, length: 0, psid: 0 };

    /// The port set with PSID offset `offset` (a), PSID length `length` (k) and this PSID.
    pub fn new(offset: u8, length: u8, psid: u16) -> Result<Self, PortSetError> {
        if u16::from(offset) + u16::from(length) > 16 {
            return Err(PortSetError::TooManyBits { offset, length });
        }
        let largest = psid_mask(length);
        if psid > largest {
            return Err(PortSetError::PsidTooBig { psid, length, largest });
        }
        Ok(Self { offset, length, psid })
    }

    /// PSID offset a: 0 to 16.
    #[must_use]
    pub const fn offset(self) -> u8 {
        self.offset
    }

    /// PSID length k: 0 to 16.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The PSID: 0 to 2^k - 1.
    #[must_use]
    pub const fn psid(self) -> u16 {
        self.psid
    }

    /// True when the softwire has the whole address (k = 0).
    #[must_use]
    pub const fn is_whole_address(self) -> bool {
        self.length == 0
    }

    /// m: the bits below the PSID.
    #[must_use]
    pub const fn m(self) -> u8 {
        16 - self.offset - self.length
    }

    /// True when the softwire owns `port`.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        self.is_whole_address()
            || (u32::from(port) >= self.first_owned()
                && (u32::from(port) >> self.m()) as u16 & psid_mask(self.length) == self.psid)
    }

    /// The contiguous ranges of ports it owns, in order.
    pub fn ranges(self) -> impl Iterator<Item = RangeInclusive<u16>> {
        let (m, k) = (u32::from(self.m()), u32::from(self.length));
        let (first, last) = if self.is_whole_address() {
            (0, 0)
        } else {
            (u32::from(self.offset > 0), (1 << self.offset) - 1)
        };
        (first..=last).map(move |block| {
            if k == 0 {
                return 0..=u16::MAX;
            }
            let start = (block << (k + m)) | (u32::from(self.psid) << m);
            start as u16..=(start + (1 << m) - 1) as u16
        })
    }

    /// Ports below this belong to nobody.
    fn first_owned(self) -> u32 {
        if self.offset == 0 { 0 } else { 1 << (16 - self.offset) }
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole_address() {
            return f.write_str("whole address");
        }
        write!(f, "psid {} (a={} k={})", self.psid, self.offset, self.length)
    }
}

/// 2^length - 1, for lengths 0 to 16.
pub(super) const fn psid_mask(length: u8) -> u16 {
    ((1_u32 << length) - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Section 5.1 read aloud: write the port as a bit string and cut it.
    fn naive_owner(offset: u8, length: u8, port: u16) -> Option<u16> {
        let bits = format!("{port:016b}");
        let (a, rest) = bits.split_at(offset.into());
        let (psid, _) = rest.split_at(length.into());
        let nobody = offset > 0 && length > 0 && !a.contains('1');
        (!nobody).then(|| u16::from_str_radix(psid, 2).unwrap_or(0))
    }

    fn any_set() -> impl Strategy<Value = PortSet> {
        (0..=16_u8).prop_flat_map(|offset| (Just(offset), 0..=16 - offset)).prop_flat_map(
            |(offset, length)| {
                (0..=psid_mask(length))
                    .prop_map(move |psid| PortSet::new(offset, length, psid).unwrap())
            },
        )
    }

    proptest! {
        #[test]
        fn contains_agrees_with_the_bit_string(set in any_set(), port: u16) {
            prop_assert_eq!(set.contains(port), naive_owner(set.offset, set.length, port) == Some(set.psid));
        }

        #[test]
        fn ranges_hold_exactly_the_contained_ports(set in any_set()) {
            let mut listed = vec![false; 1 << 16];
            for range in set.ranges() {
                for port in range {
                    prop_assert!(!std::mem::replace(&mut listed[usize::from(port)], true));
                }
            }
            for port in 0..=u16::MAX {
                prop_assert_eq!(listed[usize::from(port)], set.contains(port));
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(
            PortSet::new(10, 7, 0),
            Err(PortSetError::TooManyBits { offset: 10, length: 7 })
        );
        assert_eq!(
            PortSet::new(0, 6, 64),
            Err(PortSetError::PsidTooBig { psid: 64, length: 6, largest: 63 })
        );
        assert!(PortSet::new(0, 16, 0xffff).is_ok());
        assert!(PortSet::new(16, 0, 0).is_ok());
    }
}
