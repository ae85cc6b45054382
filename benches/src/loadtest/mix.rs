//! Frame sizes: one, or the mix called IMIX. A size is what Ethernet counts, FCS included, on the
//! IPv4 side; in the tunnel the same packet is 40 bytes longer.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use vnf::wire::checksum::Sum;

use super::stamp;

/// Ethernet header and FCS.
const AROUND_PACKET: u16 = 14 + 4;

/// Preamble and the gap between frames.
const BETWEEN_FRAMES: u16 = 8 + 12;

/// Bytes that the tunnel adds.
const TUNNEL: u16 = 40;

/// IPv4 and UDP headers and the stamp: what every frame holds.
const LEAST_PACKET: u16 = 20 + 8 + stamp::LEN as u16;

/// The smallest frame: just so large that the stamp fits.
pub(crate) const SMALLEST: u16 = 64;

/// The largest frame that fits a port's ordinary buffer, with tunnel and tag.
pub(crate) const LARGEST: u16 = 1978;

/// The sizes that RFC 2544 section 9.1 asks for on Ethernet, and the mix.
pub(crate) const STANDARD: &str = "64,128,256,512,1024,1280,1518,imix";

/// What every frame holds behind its stamp.
static FILL: [u8; LARGEST as usize] = {
    let mut fill = [0; LARGEST as usize];
    let mut at = 0;
    while at < fill.len() {
        fill[at] = (at as u8).wrapping_mul(37).wrapping_add(11);
        at += 1;
    }
    fill
};

/// What one frame of the mix looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of its IPv4 packet.
    pub(crate) packet_len: u16,
    /// The checksum's share of what is behind the stamp.
    pub(crate) fill_sum: u16,
}

impl Shape {
    fn new(frame: u16) -> Self {
        let packet_len = frame - AROUND_PACKET;
        let fill_sum = !Sum::default().bytes(fill(packet_len)).finish();
        Self { packet_len, fill_sum }
    }

    /// What is behind the stamp.
    pub(crate) fn fill(&self) -> &'static [u8] {
        fill(self.packet_len)
    }
}

fn fill(packet_len: u16) -> &'static [u8] {
    &FILL[..usize::from(packet_len - LEAST_PACKET)]
}

/// One size, or several in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mix {
    name: String,
    frames: Vec<u16>,
    shapes: Vec<Shape>,
}

impl Mix {
    fn new(name: String, frames: &[u16]) -> Self {
        let shapes = frames.iter().map(|&frame| Shape::new(frame)).collect();
        Self { name, frames: frames.to_vec(), shapes }
    }

    /// IMIX: seven, four and one of twelve frames have 64, 570 and 1518 bytes.
    pub(crate) fn imix() -> Self {
        Self::new("imix".to_owned(), &[64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 64, 570])
    }

    /// All frames of one size, if there can be such frames.
    pub(crate) fn fixed(frame: u16) -> Option<Self> {
        (SMALLEST..=LARGEST).contains(&frame).then(|| Self::new(frame.to_string(), &[frame]))
    }

    /// The frame with this sequence number.
    #[inline]
    pub(crate) fn shape(&self, sequence: u64) -> &Shape {
        match &*self.shapes {
            [only] => only,
            several => &several[(sequence % several.len() as u64) as usize],
        }
    }

    /// Bytes of the largest IPv4 packet.
    pub(crate) fn largest_packet(&self) -> u16 {
        self.shapes.iter().map(|shape| shape.packet_len).max().unwrap_or(0)
    }

    /// Bits that a frame takes of the internal link, where it is largest, on average: with tunnel,
    /// tag, FCS, preamble and gap.
    pub(crate) fn bits_on_the_wire(&self, tag: u16) -> f64 {
        let around = u64::from(TUNNEL + BETWEEN_FRAMES + tag);
        let bytes: u64 = self.frames.iter().map(|&frame| u64::from(frame) + around).sum();
        bytes as f64 * 8.0 / self.frames.len() as f64
    }

    /// Frames a second that the internal link carries one way.
    pub(crate) fn line_rate(&self, gigabits: f64, tag: u16) -> f64 {
        gigabits * 1e9 / self.bits_on_the_wire(tag)
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("imix") {
            return Ok(Self::imix());
        }
        let fixed = text.parse().ok().and_then(Self::fixed);
        fixed.ok_or_else(|| format!("a frame size from {SMALLEST} to {LARGEST}, or imix"))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imix_is_seven_four_one() {
        let mix = Mix::imix();
        let count = |len: u16| (0..1200).filter(|&n| mix.shape(n).packet_len == len - 18).count();
        assert_eq!([64, 570, 1518].map(count), [700, 400, 100]);
        assert_eq!(mix.largest_packet(), 1500);
    }

    #[test]
    fn ten_gigabits_of_the_smallest_frames_are_10_08_million_in_the_tunnel() {
        let mix = Mix::fixed(64).unwrap();
        assert!((mix.line_rate(10.0, 0) - 10_080_645.16).abs() < 0.01);
        let imix = (7.0 * 124.0 + 4.0 * 630.0 + 1578.0) * 8.0 / 12.0;
        assert!((Mix::imix().bits_on_the_wire(0) - imix).abs() < 1e-9);
        assert!((Mix::imix().bits_on_the_wire(4) - imix - 32.0).abs() < 1e-9);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for bad in ["63", "1979", "", "big"] {
            assert!(bad.parse::<Mix>().unwrap_err().contains("64 to 1978"), "{bad}");
        }
        assert_eq!("IMIX".parse::<Mix>().unwrap(), Mix::imix());
        assert_eq!("64".parse::<Mix>().unwrap().shape(5).fill(), b"");
    }
}
