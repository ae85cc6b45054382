//! A frame in a buffer of its own with room in front, like an mbuf: it grows and shrinks without
//! moving or allocating, and who drops it puts its buffer back where the next frame takes one, so
//! that a benchmark measures the relay and not the allocator.

use std::cell::RefCell;

use vnf::frame::Frame;

/// Bytes in front of a fresh frame.
const HEADROOM: usize = 128;

/// Bytes of the buffer.
const SIZE: usize = HEADROOM + 2048;

thread_local! {
    /// Buffers that nobody uses.
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A frame in a fixed buffer.
#[derive(Debug)]
pub struct BufferFrame {
    /// Of [`SIZE`] bytes.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for BufferFrame {
    fn default() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let buffer = spare.unwrap_or_else(|| vec![0; SIZE].into());
        Self { buffer, start: HEADROOM, end: HEADROOM }
    }
}

impl Drop for BufferFrame {
    #[inline]
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // At the end of its thread a buffer is simply freed.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push(buffer));
    }
}

impl BufferFrame {
    /// Makes it a fresh frame with these bytes, as many as fit.
    pub fn fill(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(SIZE - HEADROOM);
        self.start = HEADROOM;
        self.end = HEADROOM + len;
        self.buffer[self.start..self.end].copy_from_slice(&bytes[..len]);
    }
}

impl Frame for BufferFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    #[inline]
    fn grow_front(&mut self, n: usize) -> bool {
        self.start.checked_sub(n).map(|start| self.start = start).is_some()
    }

    #[inline]
    fn shrink_front(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    #[inline]
    fn grow_back(&mut self, n: usize) -> bool {
        let fits = n <= SIZE - self.end;
        self.end += if fits { n } else { 0 };
        fits
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_frame_s_buffer_is_the_next_one_s() {
        let frame = BufferFrame::default();
        let buffer = frame.buffer.as_ptr();
        drop(frame);
        let next = BufferFrame::default();
        assert_eq!((next.buffer.as_ptr(), next.bytes().len()), (buffer, 0));
    }

    #[test]
    fn grows_and_shrinks_in_place() {
        let mut frame = BufferFrame::default();
        frame.fill(&[1, 2, 3, 4]);
        assert!(frame.grow_front(2) && !frame.grow_front(HEADROOM));
        frame.bytes_mut()[..2].copy_from_slice(&[8, 9]);
        assert_eq!(frame.bytes(), [8, 9, 1, 2, 3, 4]);
        frame.truncate(5);
        frame.shrink_front(3);
        assert_eq!(frame.bytes(), [2, 3]);
        assert!(frame.grow_back(1) && !frame.grow_back(SIZE));
        assert_eq!(frame.bytes().len(), 3);
        assert!(frame.reframe(0, 1, 1));
        assert_eq!(frame.bytes(), [3]);
        frame.shrink_front(9);
        assert!(frame.bytes().is_empty());
    }
}
