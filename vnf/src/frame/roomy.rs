//! A frame that holds the largest IP packet there is, which no buffer of a port does: what
//! fragments are put together in. It never leaves as it is.

use super::Frame;

/// The largest frame: Ethernet with a tag, an IPv6 header, and 65 535 bytes.
const LARGEST: usize = 18 + 40 + 65_535;

/// Bytes in front of a fresh frame.
const ROOM: usize = 128;

/// A frame in memory of its own, which is taken when first needed and then kept.
#[derive(Debug, Default)]
pub struct RoomyFrame {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl RoomyFrame {
    /// Makes it a fresh frame of `len` bytes, their content unspecified, and gives them to write.
    /// What is longer than any frame is cut.
    pub fn fresh(&mut self, len: usize) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; ROOM + LARGEST].into();
        }
        (self.start, self.end) = (ROOM, ROOM + len.min(LARGEST));
        self.bytes_mut()
    }
}

impl Frame for RoomyFrame {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    fn grow_front(&mut self, n: usize) -> bool {
        self.start.checked_sub(n).map(|start| self.start = start).is_some()
    }

    fn shrink_front(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    fn grow_back(&mut self, n: usize) -> bool {
        let fits = n <= self.buffer.len() - self.end;
        self.end += if fits { n } else { 0 };
        fits
    }

    fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_largest_packet_and_grows_and_shrinks() {
        let mut frame = RoomyFrame::default();
        assert!(frame.bytes().is_empty());
        assert_eq!(frame.fresh(LARGEST + 1).len(), LARGEST);
        assert!(!frame.grow_back(1) && frame.grow_front(ROOM) && !frame.grow_front(1));
        frame.fresh(4).copy_from_slice(&[1, 2, 3, 4]);
        assert!(frame.grow_back(1));
        frame.bytes_mut()[4] = 5;
        frame.shrink_front(1);
        frame.truncate(3);
        assert_eq!(frame.bytes(), [2, 3, 4]);
        frame.shrink_front(9);
        assert!(frame.bytes().is_empty());
    }
}
