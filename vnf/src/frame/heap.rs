//! A frame on the heap whose block has exactly the frame's size, so that an address sanitizer sees
//! the first byte read or written past either end.

use super::{Frame, FramePool};

/// A frame in ordinary memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapFrame {
    bytes: Box<[u8]>,
}

impl HeapFrame {
    /// A frame with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into() }
    }

    /// The bytes, the frame given up.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_vec()
    }
}

impl Frame for HeapFrame {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn grow_front(&mut self, n: usize) -> bool {
        let mut grown = vec![0xa5; n + self.bytes.len()];
        grown[n..].copy_from_slice(&self.bytes);
        self.bytes = grown.into();
        true
    }

    fn shrink_front(&mut self, n: usize) {
        self.bytes = self.bytes.get(n..).unwrap_or_default().into();
    }

    fn grow_back(&mut self, n: usize) -> bool {
        let mut grown = self.bytes.to_vec();
        grown.resize(self.bytes.len() + n, 0xa5);
        self.bytes = grown.into();
        true
    }

    fn truncate(&mut self, len: usize) {
        if let Some(kept) = self.bytes.get(..len) {
            self.bytes = kept.into();
        }
    }
}

/// Makes [`HeapFrame`]s, without end.
#[derive(Debug, Default)]
pub struct HeapPool;

impl FramePool for HeapPool {
    type Frame = HeapFrame;

    fn frame(&mut self, len: usize) -> Option<HeapFrame> {
        Some(HeapFrame { bytes: vec![0xa5; len].into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_at_both_ends() {
        let mut frame = HeapFrame::new(&[1, 2, 3]);
        assert!(frame.grow_front(2));
        frame.bytes_mut()[..2].copy_from_slice(&[8, 9]);
        assert!(frame.grow_back(1));
        frame.bytes_mut()[5] = 7;
        assert_eq!(frame.bytes(), [8, 9, 1, 2, 3, 7]);
        frame.truncate(9);
        frame.truncate(5);
        frame.shrink_front(1);
        assert_eq!(frame.bytes(), [9, 1, 2, 3]);
        frame.shrink_front(9);
        assert!(frame.bytes().is_empty());
    }
}
