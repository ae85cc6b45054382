//! What a capture says of a frame: three words in front of its bytes.

use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};

/// Why a frame leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From one side to the other.
    Forwarded,
    /// A fragment that the relay cut off.
    Fragment,
    /// From one B4 to another.
    Hairpinned,
    /// A received frame made an answer.
    Answer,
    /// The relay's own.
    Originated,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Forwarded, Self::Fragment, Self::Hairpinned, Self::Answer, Self::Originated];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Its name in files and on the socket.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Fragment => "fragment",
            Self::Hairpinned => "hairpinned",
            Self::Answer => "answered",
            Self::Originated => "originated",
        }
    }
}

/// What happened to a frame when it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It came; if it leaves again, that is another record.
    Received,
    /// It came, and was dropped.
    Dropped(DropReason),
    /// It came, and is none of our business.
    Ignored(IgnoreReason),
    /// It left.
    Sent(Way),
    /// It would have left, but the port did not take it: a drop.
    Refused,
}

impl Event {
    /// Does the frame come from outside, as opposed to from us?
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        !matches!(self, Self::Sent(_) | Self::Refused)
    }

    /// Why it was dropped, if it was.
    #[must_use]
    pub const fn drop_reason(self) -> Option<DropReason> {
        match self {
            Self::Dropped(reason) => Some(reason),
            Self::Refused => Some(DropReason::TxFull),
            _ => None,
        }
    }

    fn code(self) -> u64 {
        let (kind, detail) = match self {
            Self::Received => (0, 0),
            Self::Dropped(reason) => (1, reason.index()),
            Self::Ignored(reason) => (2, reason.index()),
            Self::Sent(way) => (3, way as usize),
            Self::Refused => (4, 0),
        };
        kind | (detail as u64) << 8
    }

    fn from_code(code: u64) -> Option<Self> {
        let detail = (code >> 8 & 0xff) as usize;
        Some(match code & 0xff {
            0 => Self::Received,
            1 => Self::Dropped(*DropReason::ALL.get(detail)?),
            2 => Self::Ignored(*IgnoreReason::ALL.get(detail)?),
            3 => Self::Sent(*Way::ALL.get(detail)?),
            4 => Self::Refused,
            _ => return None,
        })
    }
}

/// Words in front of the bytes.
pub(super) const HEADER_WORDS: u64 = 3;

/// What stands in these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) time: u64,
    /// Bytes of the whole frame, and those that were kept.
    pub(super) length: u32,
    pub(super) kept: u32,
    pub(super) side: Side,
    pub(super) event: Event,
}

impl Header {
    pub(super) fn words(self) -> [u64; HEADER_WORDS as usize] {
        let lengths = u64::from(self.length) << 32 | u64::from(self.kept);
        [self.time, lengths, Self::last_word(self.side, self.event)]
    }

    pub(super) fn last_word(side: Side, event: Event) -> u64 {
        event.code() << 8 | side.index() as u64
    }

    pub(super) fn from_words([time, lengths, last]: [u64; 3]) -> Option<Self> {
        let side = if last & 1 == 0 { Side::External } else { Side::Internal };
        let event = Event::from_code(last >> 8)?;
        Some(Self { time, length: (lengths >> 32) as u32, kept: lengths as u32, side, event })
    }
}

/// A frame as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since the epoch: when its burst was received.
    pub time: u64,
    /// The interface it came by, or left by.
    pub side: Side,
    /// What happened to it.
    pub event: Event,
    /// Its bytes when it was whole.
    pub length: u32,
    /// Those that were kept.
    pub frame: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_survives_its_words() {
        let dropped = DropReason::ALL.iter().map(|&reason| Event::Dropped(reason));
        let ignored = IgnoreReason::ALL.iter().map(|&reason| Event::Ignored(reason));
        let sent = Way::ALL.into_iter().map(Event::Sent);
        let all = dropped.chain(ignored).chain(sent).chain([Event::Received, Event::Refused]);
        for (event, side) in all.flat_map(|event| Side::BOTH.map(|side| (event, side))) {
            let header = Header { time: 1 << 60, length: 9_018, kept: 128, side, event };
            assert_eq!(Header::from_words(header.words()), Some(header));
        }
    }
}
