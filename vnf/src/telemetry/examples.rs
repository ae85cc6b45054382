//! The first bytes of a recent frame of each drop reason (A2): written by one worker, read by
//! anybody, never locked. A reader that meets a writer looks again.

use std::fmt::Write as _;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

use serde_json::{Value, json};

use super::DropReason;

/// So many bytes of a frame are kept.
pub const EXAMPLE_BYTES: usize = 64;

const WORDS: usize = EXAMPLE_BYTES / 8;

/// A reader that so often met a writer does without.
const TRIES: usize = 100;

/// One worker's examples of one interface, by [`DropReason`].
#[derive(Debug)]
pub struct Examples([Place; DropReason::COUNT]);

impl Default for Examples {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Place::default()))
    }
}

/// Where one example stands.
#[derive(Debug, Default)]
struct Place {
    /// Odd while it is being written; 0 before the first.
    version: AtomicU64,
    length: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// An example that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The frame's first bytes, from the destination MAC on.
    pub start: Vec<u8>,
    /// Bytes of the whole frame.
    pub length: usize,
}

impl Examples {
    /// Keeps the first bytes of a frame that was dropped, and how many it has. Only the owning
    /// worker may call this.
    pub fn put(&self, reason: DropReason, start: &[u8], length: usize) {
        let Some(place) = self.0.get(reason.index()) else { return };
        let version = place.version.load(Relaxed);
        place.version.store(version + 1, Relaxed);
        // Nothing below may be seen before the odd version.
        fence(Release);
        place.length.store(length as u64, Relaxed);
        let mut rest = start;
        for word in &place.words {
            let mut bytes = [0; 8];
            let (now, later) = rest.split_at(rest.len().min(8));
            for (to, from) in bytes.iter_mut().zip(now) {
                *to = *from;
            }
            word.store(u64::from_ne_bytes(bytes), Relaxed);
            rest = later;
        }
        place.version.store(version + 2, Release);
    }

    /// The example of a reason, if there is one.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> Option<Example> {
        let place = self.0.get(reason.index())?;
        for _ in 0..TRIES {
            let version = place.version.load(Acquire);
            if version == 0 {
                return None;
            }
            let length = place.length.load(Relaxed) as usize;
            let words = place.words.each_ref().map(|word| word.load(Relaxed).to_ne_bytes());
            // Nothing above may be read after the version below.
            fence(Acquire);
            if version % 2 == 0 && place.version.load(Relaxed) == version {
                let mut start = words.concat();
                start.truncate(length);
                return Some(Example { start, length });
            }
            std::hint::spin_loop();
        }
        None
    }
}

impl Example {
    pub(super) fn json(&self) -> Value {
        let frame: String = self.start.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"length": self.length, "frame": frame})
    }

    /// What [`Self::json`] made, for people: rows of 16 bytes.
    pub(super) fn text(json: &Value) -> String {
        let mut text = String::new();
        let digits = json["frame"].as_str().unwrap_or_default().as_bytes();
        for (number, row) in digits.chunks(32).enumerate() {
            let bytes: Vec<&str> =
                row.chunks(2).filter_map(|byte| std::str::from_utf8(byte).ok()).collect();
            _ = writeln!(text, "      {:04x}  {}", number * 16, bytes.join(" "));
        }
        let shown = digits.len() / 2;
        if let Some(length) = json["length"].as_u64().filter(|&length| length > shown as u64) {
            _ = writeln!(text, "      ({shown} of {length} bytes)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn the_first_bytes_are_kept_and_the_newest_frame_counts() {
        let examples = Examples::default();
        assert_eq!(examples.get(DropReason::TooBig), None);
        examples.put(DropReason::TooBig, &[7; 80], 100);
        let kept = examples.get(DropReason::TooBig).unwrap();
        assert_eq!((kept.start, kept.length), (vec![7; EXAMPLE_BYTES], 100));
        let short: Vec<u8> = (0..13).collect();
        examples.put(DropReason::TooBig, &short, short.len());
        let kept = examples.get(DropReason::TooBig).unwrap();
        assert_eq!((&kept.start, kept.length), (&short, 13));
        assert_eq!(kept.json()["frame"], "000102030405060708090a0b0c");
        assert_eq!(
            Example::text(&kept.json()),
            "      0000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c\n"
        );
        assert_eq!(examples.get(DropReason::TtlExpired), None);
    }

    #[test]
    fn a_reader_never_sees_two_frames_mixed() {
        let (examples, stop) = (Arc::new(Examples::default()), Arc::new(AtomicBool::new(false)));
        let writer = std::thread::spawn({
            let (examples, stop) = (Arc::clone(&examples), Arc::clone(&stop));
            move || {
                let mut byte = 0_u8;
                while !stop.load(Relaxed) {
                    byte = byte.wrapping_add(1);
                    let len = 60 + usize::from(byte);
                    examples.put(DropReason::TooBig, &vec![byte; len], len);
                }
            }
        });
        for _ in 0..20_000 {
            if let Some(Example { start, length }) = examples.get(DropReason::TooBig) {
                assert!(start.iter().all(|&byte| usize::from(byte) + 60 == length), "{start:?}");
            }
        }
        stop.store(true, Relaxed);
        writer.join().unwrap();
    }
}
