//! The identification of IPv6 fragments (RFC 8200 section 4.5), which the relay chooses at random.

use std::collections::HashMap;

/// Where a frame's IPv6 fragment header has its identification, if one follows the IPv6 header.
fn place(frame: &[u8]) -> Option<std::ops::Range<usize>> {
    const FRAGMENT: u8 = 44;
    let start = if frame.get(12..14)? == [0x81, 0x00] { 18 } else { 14 };
    let ipv6 = frame.get(start - 2..start)? == [0x86, 0xdd];
    let range = start + 44..start + 48;
    (ipv6 && frame[start..].get(6) == Some(&FRAGMENT) && frame.len() >= range.end).then_some(range)
}

/// The identification of a frame that is a fragment.
pub(crate) fn of(frame: &[u8]) -> Option<u32> {
    let bytes = frame[place(frame)?].try_into().unwrap();
    Some(u32::from_be_bytes(bytes))
}

/// The frames that came, each with the identification that was expected, as long as packets and
/// identifications go together one to one. Where they do not, it is one that differs.
pub(crate) fn as_expected(expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    let translated = |(index, frame): (usize, &Vec<u8>)| {
        let mut frame = frame.clone();
        let pair = expected.get(index).and_then(|wanted| Some((of(wanted)?, of(&frame)?)));
        if let Some((wanted, came)) = pair {
            let consistent = *there.entry(wanted).or_insert(came) == came
                && *back.entry(came).or_insert(wanted) == wanted;
            let value = if consistent { wanted } else { !wanted };
            let range = place(&frame).unwrap();
            frame[range].copy_from_slice(&value.to_be_bytes());
        }
        frame
    };
    got.iter().enumerate().map(translated).collect()
}
