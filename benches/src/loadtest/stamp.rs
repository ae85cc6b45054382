//! What each frame says about itself: 18 bytes at the start of its payload, which fit the smallest
//! frame. Its 16-bit words sum up to nothing, so that the UDP checksum does not depend on them.
//!
//! ```text
//!  0       2       4               10              16      18
//!  | way   | trial | sequence      | sent at, ns   | check |
//! ```

use vnf::wire::checksum::Sum;

use super::direction::Direction;

/// Bytes of a stamp.
pub(crate) const LEN: usize = 18;

const MASK: u64 = (1 << 48) - 1;

/// A frame's stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) direction: Direction,
    /// Which trial it belongs to.
    pub(crate) trial: u16,
    /// Its number, from 0, in its trial and direction.
    pub(crate) sequence: u64,
    /// When it was sent, in nanoseconds, the lowest 48 bits.
    pub(crate) time: u64,
}

/// Why bytes are no stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoStamp {
    /// Nobody put one there.
    Foreign,
    /// It was one.
    Broken,
}

const fn mark(direction: Direction) -> [u8; 2] {
    match direction {
        Direction::Encap => *b"Le",
        Direction::Decap => *b"Ld",
    }
}

impl Stamp {
    /// Writes it.
    #[inline]
    pub(crate) fn write(&self, to: &mut [u8; LEN]) {
        to[..2].copy_from_slice(&mark(self.direction));
        to[2..4].copy_from_slice(&self.trial.to_be_bytes());
        to[4..10].copy_from_slice(&self.sequence.to_be_bytes()[2..]);
        to[10..16].copy_from_slice(&self.time.to_be_bytes()[2..]);
        let check = Sum::default().bytes(&to[..16]).finish();
        to[16..].copy_from_slice(&check.to_be_bytes());
    }

    /// Reads it.
    #[inline]
    pub(crate) fn read(from: &[u8; LEN]) -> Result<Self, NoStamp> {
        let direction = match [from[0], from[1]] {
            mark if mark == self::mark(Direction::Encap) => Direction::Encap,
            mark if mark == self::mark(Direction::Decap) => Direction::Decap,
            _ => return Err(NoStamp::Foreign),
        };
        if !Sum::default().bytes(from).verifies() {
            return Err(NoStamp::Broken);
        }
        let six = |at: usize| {
            let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|i| from[at + i]);
            u64::from_be_bytes([0, 0, a, b, c, d, e, f])
        };
        let trial = u16::from_be_bytes([from[2], from[3]]);
        Ok(Self { direction, trial, sequence: six(4), time: six(10) })
    }
}

/// Nanoseconds from a stamp's time until `now`; 78 hours at most.
#[inline]
pub(crate) fn age(now: u64, time: u64) -> u64 {
    now.wrapping_sub(time) & MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp { direction: Direction::Decap, trial: 7, sequence: 1 << 40 | 5, time: MASK - 3 }
    }

    #[test]
    fn reads_what_was_written_and_sums_to_nothing() {
        let mut bytes = [0; LEN];
        stamp().write(&mut bytes);
        assert_eq!(Stamp::read(&bytes), Ok(stamp()));
        let around = Sum::default().word(0x1234).finish();
        assert_eq!(Sum::default().word(0x1234).bytes(&bytes).finish(), around);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut bytes = [0; LEN];
        stamp().write(&mut bytes);
        for bit in 0..LEN * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = Stamp::read(&bytes);
            assert!(read.is_err(), "bit {bit}: {read:?}");
            assert_eq!(read == Err(NoStamp::Foreign), bit < 16 && bit != 8, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn ages_across_the_wrap() {
        assert_eq!(age(MASK + 11, (MASK + 1 - 5) & MASK), 15);
        assert_eq!(age(100, 40), 60);
    }
}
