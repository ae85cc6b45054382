//! E8, D5, Q1 and F5: what may leave, in pieces where it is too large for the link ahead.

use crate::bytes::{be16, fix_ipv4_checksum};
use crate::errors;
use crate::ipv4::Packet;
use crate::verdict::{Passed, Verdict};
use crate::world::{Softwire, World};

/// The offsets and lengths of pieces: whole units of 8 bytes, but the last takes what is left as
/// soon as it fits. `room` is what a piece at an offset may have.
fn pieces(len: usize, room: impl Fn(usize) -> usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    while len - offset > room(offset) {
        let piece = room(offset) / 8 * 8;
        pieces.push((offset, piece));
        offset += piece;
    }
    pieces.push((offset, len - offset));
    pieces
}

/// RFC 8200 section 4.5. The identification is the relay's to choose: here it is 0.
fn fragments6(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(40);
    let piece = |(offset, len): (usize, usize)| {
        let more = u16::from(offset + len < data.len());
        let mut bytes = header.to_vec();
        bytes[4..6].copy_from_slice(&(8 + len as u16).to_be_bytes());
        bytes[6] = 44;
        bytes.extend([header[6], 0]);
        bytes.extend((offset as u16 | more).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&data[offset..offset + len]);
        bytes
    };
    pieces(data.len(), |_| mtu - 48).into_iter().map(piece).collect()
}

/// RFC 791 section 3.2. Flags and offset go on from what they are.
fn fragments4(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let header_len = usize::from(packet[0] & 15) * 4;
    let (header, data) = packet.split_at(header_len);
    let later = [&header[..20], &copied(&header[20..])].concat();
    let (start, last_more) = (be16(packet, 6) & 0x1fff, be16(packet, 6) & 0x2000);
    let header_at = |offset| if offset == 0 { header } else { &later };
    let piece = |(offset, len): (usize, usize)| {
        let mut bytes = header_at(offset).to_vec();
        let header_len = bytes.len();
        let more = if offset + len < data.len() { 0x2000 } else { last_more };
        bytes[0] = 0x40 | (header_len / 4) as u8;
        bytes[2..4].copy_from_slice(&((header_len + len) as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&(more | (start + offset as u16 / 8)).to_be_bytes());
        fix_ipv4_checksum(&mut bytes);
        bytes.extend(&data[offset..offset + len]);
        bytes
    };
    pieces(data.len(), |offset| mtu - header_at(offset).len()).into_iter().map(piece).collect()
}

/// The options that every fragment carries; where the list stops making sense, nothing more is
/// copied.
fn copied(mut options: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while let [kind, rest @ ..] = options {
        let len = match (kind, rest) {
            (0, _) => break,
            (1, _) => 1,
            (_, [len, ..]) => usize::from(*len),
            (_, []) => break,
        };
        if *kind != 1 && len < 2 || len > options.len() {
            break;
        }
        if kind & 0x80 != 0 {
            kept.extend(&options[..len]);
        }
        options = &options[len..];
    }
    kept.resize(kept.len().div_ceil(4) * 4, 0);
    kept
}

/// E8: what leaves for a B4, `packet` being what arrived and `rewritten` what it became.
pub(crate) fn into_tunnel(
    world: &World,
    softwire: &Softwire,
    packet: Packet<'_>,
    rewritten: &[u8],
    too_big: impl Fn(usize) -> Option<Vec<u8>>,
) -> Passed<Vec<Vec<u8>>> {
    let mtu = world.tunnel_mtu(softwire.b4);
    let whole = errors::encapsulated(world, softwire, rewritten);
    let is_too_big = whole.len() > mtu;
    if is_too_big && packet.dont_fragment() && !world.policy.fragment_despite_df {
        return Err(Verdict::Drop("too-big", too_big(mtu - 40)));
    }
    world.internal_filters.let_out(&whole)?;
    if !is_too_big {
        return Ok(vec![whole]);
    }
    if packet.dont_fragment() || !world.policy.fragment_inner {
        return Ok(fragments6(&whole, mtu));
    }
    can_be_cut(packet)?;
    let pieces = fragments4(rewritten, mtu - 40);
    Ok(pieces.iter().map(|piece| errors::encapsulated(world, softwire, piece)).collect())
}

/// D5: what leaves for the Internet.
pub(crate) fn to_internet(
    world: &World,
    packet: Packet<'_>,
    rewritten: Vec<u8>,
    too_big: impl Fn(usize) -> Option<Vec<u8>>,
) -> Passed<Vec<Vec<u8>>> {
    let mtu = world.external.mtu;
    let is_too_big = rewritten.len() > mtu;
    if is_too_big && packet.dont_fragment() {
        return Err(Verdict::Drop("too-big", too_big(mtu)));
    }
    world.external_filters.let_out(&rewritten)?;
    if !is_too_big {
        return Ok(vec![rewritten]);
    }
    can_be_cut(packet)?;
    Ok(fragments4(&rewritten, mtu))
}

/// A fragment that ends where no packet ends has no offsets for its pieces.
fn can_be_cut(packet: Packet<'_>) -> Passed<()> {
    let start = usize::from(be16(packet.bytes, 6) & 0x1fff) * 8;
    if start + packet.payload().len() > 65535 {
        return Err(Verdict::Drop("too-big", None));
    }
    Ok(())
}
