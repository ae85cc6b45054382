//! Frames against a live configuration: nothing panics, everything is accounted for (A1), and what
//! leaves is well formed and no longer than its link takes.

use vnf::side::Side;

use super::mend::mend;
use super::world::World;
use crate::oracle;

/// Frames of one input at most, and the time they may take: what the fuzzer adds beyond tells
/// nothing new.
const MOST_FRAMES: usize = 48;
const MOST_SECONDS: u64 = 150;

/// One frame from the Internet: see [`one`].
pub(crate) fn frame_external(input: &[u8]) {
    one(Side::External, input);
}

/// One frame from the access network: see [`one`].
pub(crate) fn frame_internal(input: &[u8]) {
    one(Side::Internal, input);
}

/// The input is a byte that chooses the configuration and whether checksums are mended, and a frame.
fn one(side: Side, input: &[u8]) {
    let Some((&choice, frame)) = input.split_first() else { return };
    throw(choice, [(side, 0, frame)].into_iter());
}

/// A sequence of frames. The input is the byte of [`one`], and for each frame a byte (side in its
/// lowest bit, above it how long after the one before), its length in two bytes, and its bytes.
pub(crate) fn fragments(input: &[u8]) {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let frames = std::iter::from_fn(|| {
        let ([how, high, low], more) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(more.len());
        let (frame, more) = more.split_at(len);
        rest = more;
        let side = if how & 1 == 0 { Side::External } else { Side::Internal };
        Some((side, step(how >> 1), frame))
    });
    throw(choice, frames.take(MOST_FRAMES));
}

/// From no time at all to a minute, in nanoseconds.
fn step(code: u8) -> u64 {
    const MILLISECOND: u64 = 1_000_000;
    match code {
        0 => 0,
        code => (MILLISECOND << (code % 16)).min(60_000 * MILLISECOND),
    }
}

fn throw<'a>(choice: u8, frames: impl Iterator<Item = (Side, u64, &'a [u8])>) {
    let mut world = World::of(choice & 0x7f);
    let mends = choice & 0x80 != 0;
    let mut now = 0;
    for (side, step, frame) in frames {
        now += step;
        if now > MOST_SECONDS * 1_000_000_000 {
            break;
        }
        let mut frame = frame.to_vec();
        if mends {
            mend(&mut frame);
        }
        world.session.receive(side, now, &frame);
    }
    for (side, frame) in world.session.take_output() {
        if let Err(problem) = oracle::well_formed(side, &frame, world.mtu(side)) {
            panic!("on the {side} side left {frame:02x?}: {problem}");
        }
    }
    if let Err(problem) = oracle::balanced(&world.session) {
        panic!("{problem}");
    }
}
