//! What each receive queue handed over last, for the report about a crash ([`super::crash`]).
//!
//! A queue notes the buffers of every burst, which costs a copy of their pointers; the bytes stay
//! where they are. So a frame shows as it was at the moment of the crash: those that nobody had
//! come to yet, or that are dropped or held, as they were received, those that had been rewritten
//! as what was made of them.

use std::ptr;
use std::slice;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use dpdk_sys::rte_mbuf;

use super::poison;
use crate::frame::BURST;

/// Queues that are watched; what further ones receive is missing from a report.
const QUEUES: usize = 64;

static NOTES: [Note; QUEUES] = [const { Note::new() }; QUEUES];

/// The buffers of one queue's last burst.
#[derive(Debug)]
#[repr(align(128))]
struct Note {
    taken: AtomicBool,
    count: AtomicUsize,
    mbufs: [AtomicPtr<rte_mbuf>; BURST],
}

impl Note {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            mbufs: [const { AtomicPtr::new(ptr::null_mut()) }; BURST],
        }
    }
}

/// A queue's right to note what it received; dropping it forgets that. Every buffer noted must
/// belong to a pool that lives longer than this.
#[derive(Debug)]
pub(super) struct Notebook(Option<&'static Note>);

impl Notebook {
    /// For one queue.
    pub(super) fn new() -> Self {
        let free =
            |note: &&Note| note.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        Self(NOTES.iter().find(free))
    }

    /// Notes a burst, unless nothing came.
    #[inline]
    pub(super) fn note(&self, burst: &[*mut rte_mbuf]) {
        let Some(note) = self.0 else { return };
        if burst.is_empty() {
            return;
        }
        for (place, &mbuf) in note.mbufs.iter().zip(burst) {
            place.store(mbuf, Relaxed);
        }
        note.count.store(burst.len(), Release);
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        if let Some(note) = self.0 {
            note.count.store(0, Relaxed);
            note.taken.store(false, Release);
        }
    }
}

/// Hands over the frames of the last bursts, queue by queue, in order. Calls nothing that a signal
/// handler must not.
///
/// Other threads may be writing what is handed over: it is to be looked at, not relied upon.
pub(super) fn for_each(mut see: impl FnMut(&[u8])) {
    for note in &NOTES {
        let count = note.count.load(Acquire).min(BURST);
        for mbuf in note.mbufs.iter().take(count) {
            // SAFETY: what is noted belongs to a pool that is there: a queue forgets its notes
            // before its pools can go. Whoever owns the buffer now, its bookkeeping is valid.
            if let Some(frame) = unsafe { frame(mbuf.load(Relaxed)) } {
                see(frame);
            }
        }
    }
}

/// The bytes of a buffer's frame. None when a debug build has overwritten them.
///
/// # Safety
///
/// `mbuf` is null, or an mbuf of a pool that exists.
unsafe fn frame<'a>(mbuf: *const rte_mbuf) -> Option<&'a [u8]> {
    if mbuf.is_null() {
        return None;
    }
    // SAFETY: the caller's promise. Its fields are read as they are, for others may be writing
    // them; whatever they say, no byte outside of the buffer is touched.
    unsafe {
        if poison::is_freed(mbuf) {
            return None;
        }
        let room = usize::from(ptr::read_volatile(&raw const (*mbuf).buf_len));
        let start = usize::from(ptr::read_volatile(&raw const (*mbuf).data_off)).min(room);
        let len = usize::from(ptr::read_volatile(&raw const (*mbuf).data_len)).min(room - start);
        let buffer = ptr::read_volatile(&raw const (*mbuf).buf_addr).cast::<u8>();
        (!buffer.is_null()).then(|| slice::from_raw_parts(buffer.add(start), len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mbuf(buffer: &mut [u8], start: u16, len: u16) -> rte_mbuf {
        rte_mbuf {
            buf_addr: buffer.as_mut_ptr().cast(),
            buf_len: buffer.len() as u16,
            data_off: start,
            data_len: len,
            refcnt: 1,
            ..rte_mbuf::default()
        }
    }

    fn seen() -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for_each(|frame| frames.push(frame.to_vec()));
        frames
    }

    #[test]
    fn the_last_burst_is_seen_until_its_queue_is_gone() {
        let mut buffers = [[1; 64], [2; 64], [3; 64]];
        let [a, b, c] = &mut buffers;
        // The last one says more than its buffer has.
        let mut mbufs = [mbuf(a, 16, 8), mbuf(b, 0, 64), mbuf(c, 60, 999)];
        let pointers: Vec<_> = mbufs.iter_mut().map(ptr::from_mut).collect();
        let notebook = Notebook::new();
        notebook.note(&pointers[..1]);
        assert_eq!(seen(), [vec![1; 8]]);
        notebook.note(&pointers[1..]);
        notebook.note(&[]);
        assert_eq!(seen(), [vec![2; 64], vec![3; 4]]);
        drop(notebook);
        assert!(seen().is_empty());
    }
}
