//! What the rules say of one frame. Frames that leave are whole, Ethernet header included.

use crate::fragments::Flow;
use crate::link::Arrived;

/// The fate of a frame (A1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Leaves on the other side, in pieces if it must.
    Forward(Vec<Vec<u8>>),
    /// Leaves on the side it came from, to another B4, likewise.
    Hairpin(Vec<Vec<u8>>),
    /// Is answered on the side it came from.
    Answer(Vec<u8>),
    /// Was for the relay, which says nothing to its sender, but may tell somebody on a side.
    Consume(Option<(Arrived, Vec<u8>)>),
    /// Shows that somebody else has an address of ours.
    Conflict,
    /// Is other people's, by name.
    Ignore(&'static str),
    /// Waits for other fragments of its packet (F1).
    Kept,
    /// Makes a packet of so many fragments whole, which has a fate of its own (F1).
    Assembled(usize, Box<Verdict>),
    /// Waits for the first fragment of its packet (F2, F3): the IP packet that waits.
    Waits(Flow, Vec<u8>),
    /// Is dropped, by name; an ICMP error may leave on the side it came from.
    Drop(&'static str, Option<Vec<u8>>),
}

/// A rule that ends a packet's way: `?` in the model hands the verdict back.
pub(crate) type Passed<T> = Result<T, Verdict>;

/// A drop without an error.
pub(crate) fn drop<T>(reason: &'static str) -> Passed<T> {
    Err(Verdict::Drop(reason, None))
}
