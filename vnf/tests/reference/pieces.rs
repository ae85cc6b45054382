//! Packets in pieces, mostly as some router or B4 would make them: shuffled, and now and then one
//! is lost, repeated, moved or changed.

use crate::bytes::{be16, fix_ipv4_checksum};
use crate::rng::Rng;

/// Cuts `len` bytes into a few pieces at multiples of 8: where each starts and ends.
fn cuts(rng: &mut Rng, len: usize) -> Vec<(usize, usize)> {
    let units = len.div_ceil(8);
    let mut at: Vec<usize> = (0..1 + rng.below(5)).map(|_| rng.below(units + 1) * 8).collect();
    at.extend([0, len]);
    at.retain(|&at| at <= len);
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// What may happen to pieces on their way. `damage` changes one.
fn travel(rng: &mut Rng, pieces: &mut Vec<Vec<u8>>, damage: impl Fn(&mut Rng, &mut Vec<u8>)) {
    for _ in 0..pieces.len() {
        if rng.chance(8) {
            let again = rng.pick(pieces).clone();
            pieces.push(again);
        }
    }
    if rng.chance(10) && pieces.len() > 1 {
        pieces.swap_remove(rng.below(pieces.len()));
    }
    if rng.chance(15) {
        let which = rng.below(pieces.len());
        let mut other = pieces[which].clone();
        damage(rng, &mut other);
        if rng.chance(50) {
            pieces.push(other);
        } else {
            pieces[which] = other;
        }
    }
    if rng.chance(60) {
        for last in (1..pieces.len()).rev() {
            pieces.swap(last, rng.below(last + 1));
        }
    }
}

/// IPv6 fragments of a packet.
pub(crate) fn of_ipv6(rng: &mut Rng, packet: &[u8], identification: u32) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(40);
    let piece = |(start, end): (usize, usize)| {
        let mut bytes = header.to_vec();
        let more = u16::from(end < data.len());
        bytes[4..6].copy_from_slice(&(8 + (end - start) as u16).to_be_bytes());
        bytes[6] = 44;
        bytes.extend([header[6], 0]);
        bytes.extend((start as u16 | more).to_be_bytes());
        bytes.extend(identification.to_be_bytes());
        bytes.extend(&data[start..end]);
        bytes
    };
    let mut pieces: Vec<Vec<u8>> = cuts(rng, data.len()).into_iter().map(piece).collect();
    if rng.chance(20) {
        // Congestion somewhere on the way.
        let which = rng.below(pieces.len());
        pieces[which][1] |= 0x30;
    }
    travel(rng, &mut pieces, |rng, piece| match rng.below(5) {
        0 => piece[43] ^= 1,
        1 => piece[43] = piece[43].wrapping_add(8),
        2 => piece[43] = piece[43].wrapping_sub(8),
        3 => {
            let at = 48 + rng.below(piece.len() - 48);
            piece[at] ^= 0x40;
        }
        _ => {
            let shorter = rng.below(piece.len() - 47);
            piece.truncate(48 + shorter);
            piece[4..6].copy_from_slice(&(8 + shorter as u16).to_be_bytes());
            piece[42] |= rng.byte() & rng.byte() & 0xf0;
        }
    });
    pieces
}

/// IPv4 fragments of a packet, with all its options.
pub(crate) fn of_ipv4(rng: &mut Rng, packet: &[u8], identification: u16) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(usize::from(packet[0] & 15) * 4);
    let piece = |(start, end): (usize, usize)| {
        let mut bytes = header.to_vec();
        let more = if end < data.len() { 0x2000 } else { 0 };
        bytes[2..4].copy_from_slice(&((header.len() + end - start) as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        bytes[6..8].copy_from_slice(&(more | (start / 8) as u16).to_be_bytes());
        fix_ipv4_checksum(&mut bytes);
        bytes.extend(&data[start..end]);
        bytes
    };
    let mut pieces: Vec<Vec<u8>> = cuts(rng, data.len()).into_iter().map(piece).collect();
    travel(rng, &mut pieces, |rng, piece| {
        match rng.below(3) {
            // Not a second first: which of them counts for what has waited depends on the burst.
            0 => piece[7] = (piece[7] ^ 1 << rng.below(3)).max(1),
            1 => piece[5] ^= 1,
            _ => piece[9] = *rng.pick(&[6, 17, 47, 1]),
        }
        fix_ipv4_checksum(piece);
    });
    pieces
}

/// Is this an IPv4 packet that can be cut?
pub(crate) fn can_cut_ipv4(packet: &[u8]) -> bool {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return false;
    }
    let header = usize::from(packet[0] & 15) * 4;
    header >= 20
        && usize::from(be16(packet, 2)) == packet.len()
        && packet.len() > header
        && be16(packet, 6) & 0x3fff == 0
}
