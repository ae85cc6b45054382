//! Checksums made right, so that what a fuzzer changes elsewhere gets past them.

/// Mends every checksum that the frame's headers lead to.
pub(super) fn mend(frame: &mut [u8]) {
    let tagged = frame.get(12..14) == Some(&[0x81, 0]);
    let start = if tagged { 18 } else { 14 };
    let Some(ethertype) = frame.get(start - 2..start).map(|b| [b[0], b[1]]) else { return };
    let packet = &mut frame[start..];
    match ethertype {
        [8, 0] => ipv4(packet),
        [0x86, 0xdd] => ipv6(packet),
        _ => {}
    }
}

fn ipv4(packet: &mut [u8]) {
    let header = usize::from(packet.first().map_or(0, |byte| byte & 15)) * 4;
    if header < 20 || packet.len() < header {
        return;
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]])).min(packet.len());
    place(&mut packet[..header], 10, 0);
    if packet[9] == 1 && total > header {
        place(&mut packet[header..total], 2, 0);
    }
}

fn ipv6(packet: &mut [u8]) {
    const HEADER: usize = 40;
    if packet.len() < HEADER {
        return;
    }
    let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let end = (HEADER + len).min(packet.len());
    let pseudo = sum(&packet[8..HEADER]) + 58 + len as u32;
    let payload = HEADER..end;
    match packet[6] {
        4 => ipv4(&mut packet[payload]),
        58 => place(&mut packet[payload], 2, pseudo),
        // A first fragment, or the only one, of a tunnelled packet.
        44 if packet.get(HEADER) == Some(&4) => {
            if let Some(inner) = packet[payload].get_mut(8..) {
                ipv4(inner);
            }
        }
        _ => {}
    }
}

/// Writes the Internet checksum of `bytes`, and of what else it covers, to `at`.
fn place(bytes: &mut [u8], at: usize, more: u32) {
    let Some(field) = bytes.get_mut(at..at + 2) else { return };
    field.fill(0);
    let mut total = sum(bytes) + more;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    bytes[at..at + 2].copy_from_slice(&(!(total as u16)).to_be_bytes());
}

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b))).sum()
}
