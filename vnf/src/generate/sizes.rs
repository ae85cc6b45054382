//! Frame sizes, counted as Ethernet counts them on the IPv4 side: header and FCS included.

use std::str::FromStr;

/// The smallest Ethernet frame.
pub const SMALLEST_FRAME: u16 = 64;

/// The largest whose packet, with 40 bytes of tunnel, still fits the largest MTU of 9000.
pub const LARGEST_FRAME: u16 = 9000 - 40 + OVERHEAD;

/// Ethernet header and FCS.
const OVERHEAD: u16 = 14 + 4;

/// One size, or the mix called IMIX: 7 of 64, 4 of 570 and 1 of 1518 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameSizes {
    /// All the same.
    Fixed(FrameSize),
    /// Seven, four and one of twelve.
    Imix,
}

/// The size of one frame, within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize(u16);

/// The text is no frame size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number from {SMALLEST_FRAME} to {LARGEST_FRAME}, or imix")]
pub struct FrameSizesError;

const SMALL: FrameSize = FrameSize(64);
const MIDDLE: FrameSize = FrameSize(570);
const LARGE: FrameSize = FrameSize(1518);

/// Twelve frames, the larger ones spread among the small ones.
const IMIX: [FrameSize; 12] =
    [SMALL, MIDDLE, SMALL, SMALL, MIDDLE, SMALL, LARGE, SMALL, MIDDLE, SMALL, SMALL, MIDDLE];

impl FrameSize {
    /// Bytes of the IPv4 packet in it.
    #[must_use]
    pub const fn packet_len(self) -> u16 {
        self.0 - OVERHEAD
    }
}

impl FrameSizes {
    /// The sizes of frame after frame, for ever.
    pub(super) fn cycle(&self) -> impl Iterator<Item = FrameSize> {
        let fixed = match self {
            Self::Fixed(size) => Some(*size),
            Self::Imix => None,
        };
        IMIX.into_iter().cycle().map(move |size| fixed.unwrap_or(size))
    }

    /// Bytes of the largest IPv4 packet.
    #[must_use]
    pub fn largest_packet(&self) -> u16 {
        match self {
            Self::Fixed(size) => size.packet_len(),
            Self::Imix => LARGE.packet_len(),
        }
    }
}

impl FromStr for FrameSizes {
    type Err = FrameSizesError;

    fn from_str(text: &str) -> Result<Self, FrameSizesError> {
        if text == "imix" {
            return Ok(Self::Imix);
        }
        let size: u16 = text.parse().map_err(|_| FrameSizesError)?;
        if (SMALLEST_FRAME..=LARGEST_FRAME).contains(&size) {
            Ok(Self::Fixed(FrameSize(size)))
        } else {
            Err(FrameSizesError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imix_is_seven_four_one() {
        let count = |size| FrameSizes::Imix.cycle().take(12).filter(|&other| other == size).count();
        assert_eq!([SMALL, MIDDLE, LARGE].map(count), [7, 4, 1]);
        assert_eq!(FrameSizes::Imix.largest_packet(), 1500);
    }

    #[test]
    fn limits() {
        assert_eq!("64".parse::<FrameSizes>().unwrap().largest_packet(), 46);
        assert_eq!("8978".parse::<FrameSizes>().unwrap().largest_packet(), 8960);
        for bad in ["63", "8979", "IMIX", "-1", ""] {
            assert_eq!(bad.parse::<FrameSizes>(), Err(FrameSizesError), "{bad}");
        }
    }
}
