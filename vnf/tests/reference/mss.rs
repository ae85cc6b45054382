//! E10: the segment size that TCP announces.

use crate::bytes::{TCP, be16, checksum};
use crate::ipv4::Packet;
use crate::world::World;

/// Lowers it where the world says so.
pub(crate) fn clamp(world: &World, bytes: &mut [u8]) {
    let packet = Packet { bytes };
    let (first, start) = (!packet.is_later_fragment(), packet.header_len());
    if let Some(most) = world.most_segment()
        && first
        && packet.protocol() == TCP
    {
        clamp_segment(&mut bytes[start..], most);
    }
}

fn clamp_segment(segment: &mut [u8], most: u16) {
    const SYN: u8 = 2;
    if segment.len() < 20 || segment[13] & SYN == 0 {
        return;
    }
    let header_len = usize::from(segment[12] >> 4) * 4;
    if header_len < 20 || header_len > segment.len() {
        return;
    }
    let Some(at) = option(&segment[20..header_len]) else { return };
    let at = 20 + at;
    if be16(segment, at) <= most {
        return;
    }
    // A checksum that was wrong stays wrong by as much: not every fragment has all it is about.
    let before = !checksum(segment);
    segment[at..at + 2].copy_from_slice(&most.to_be_bytes());
    segment[16..18].fill(0);
    let rest = !checksum(segment);
    let field = (u32::from(before) + 0xffff - u32::from(rest)) % 0xffff;
    segment[16..18].copy_from_slice(&(field as u16).to_be_bytes());
}

/// Where the value of the first MSS option stands.
fn option(options: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < options.len() && options[at] != 0 {
        if options[at] == 1 {
            at += 1;
            continue;
        }
        let len = usize::from(*options.get(at + 1)?);
        if len < 2 || at + len > options.len() {
            return None;
        }
        if options[at] == 2 && len == 4 {
            return Some(at + 2);
        }
        at += len;
    }
    None
}
