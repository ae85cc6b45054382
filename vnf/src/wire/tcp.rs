//! TCP's maximum segment size option (RFC 9293 section 3.7.1).

use super::{be16, checksum};

/// Bytes of a header without options.
const HEADER: usize = 20;

/// Where the flags stand.
pub const FLAGS: usize = 13;

/// The first segment each way, which announces what it takes.
pub const SYN: u8 = 0x02;

/// Lowers the MSS that a SYN or SYN-ACK at the start of `segment` announces to `most`, and keeps
/// its checksum right. Never raises or adds one; what is malformed is left alone.
pub fn clamp_mss(segment: &mut [u8], most: u16) {
    let Some(head) = segment.first_chunk::<HEADER>() else { return };
    if head[FLAGS] & SYN == 0 {
        return;
    }
    let header_len = usize::from(head[12] >> 4) * 4;
    let checksum = be16(head, 16);
    let Some(at) = segment.get(HEADER..header_len).and_then(find_mss) else { return };
    let at = HEADER + at;
    let Some(value) = segment.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied() else {
        return;
    };
    let old = u16::from_be_bytes(value);
    if old <= most {
        return;
    }
    // The sum is of 16-bit words: where the option stands at an odd place, each byte counts as the
    // other half.
    let word = |value: u16| if at.is_multiple_of(2) { value } else { value.swap_bytes() };
    let sum = checksum::update(checksum, word(old), word(most));
    if let Some(field) = segment.get_mut(at..at + 2) {
        field.copy_from_slice(&most.to_be_bytes());
    }
    if let Some(field) = segment.get_mut(16..18) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Where in the options the MSS value stands.
fn find_mss(options: &[u8]) -> Option<usize> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const MSS: u8 = 2;
    let mut at = 0;
    loop {
        match options.get(at..)? {
            [] | [END, ..] => return None,
            [NOP, ..] => at += 1,
            [MSS, 4, _, _, ..] => return Some(at + 2),
            [_, len, ..] if *len >= 2 => at += usize::from(*len),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Sum;

    fn syn(options: &[u8], flags: u8) -> Vec<u8> {
        let mut segment = vec![0; HEADER];
        segment.extend_from_slice(options);
        segment[12] = ((segment.len() / 4) << 4) as u8;
        segment[FLAGS] = flags;
        let sum = Sum::default().bytes(&segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        segment
    }

    fn clamped(options: &[u8], flags: u8) -> Option<Vec<u8>> {
        let before = syn(options, flags);
        let mut after = before.clone();
        clamp_mss(&mut after, 1420);
        assert!(Sum::default().bytes(&after).verifies());
        (after != before).then(|| after[HEADER..].to_vec())
    }

    #[test]
    fn lowers_wherever_it_stands_and_never_raises() {
        assert_eq!(clamped(&[2, 4, 0x05, 0xb4], SYN), Some(vec![2, 4, 0x05, 0x8c]));
        assert_eq!(
            clamped(&[1, 2, 4, 0x05, 0xb4, 1, 1, 0], SYN | 0x10),
            Some(vec![1, 2, 4, 0x05, 0x8c, 1, 1, 0])
        );
        for left_alone in [
            &[2, 4, 0x05, 0x8c][..],
            &[2, 4, 0, 9],
            &[1, 1, 1, 0],
            &[],
            &[3, 0, 2, 4],
            &[3, 1, 2, 4],
            &[2, 3, 9, 9],
            &[1, 1, 2, 4],
            &[0, 2, 4, 9],
        ] {
            assert_eq!(clamped(left_alone, SYN), None, "{left_alone:?}");
        }
        assert_eq!(clamped(&[2, 4, 0x05, 0xb4], 0x10), None);
        clamp_mss(&mut [0xff; 19], 1);
        clamp_mss(&mut [0xff; 20], 1);
    }
}
