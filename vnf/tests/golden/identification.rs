//! The identification of IPv6 fragments (RFC 8200 section 4.5), which the relay chooses at random.

/// Where a frame's IPv6 fragment header has its identification, if one follows the IPv6 header.
pub(crate) fn place(frame: &[u8]) -> Option<std::ops::Range<usize>> {
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
