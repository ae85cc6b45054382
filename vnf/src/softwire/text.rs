//! Numbers and addresses from bytes, without detours: the table file has millions of them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A decimal number below 65536.
pub(super) fn number(text: &[u8]) -> Option<u16> {
    if text.is_empty() || text.len() > 5 {
        return None;
    }
    let mut value = 0_u32;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    u16::try_from(value).ok()
}

/// A dotted quad, as the standard library takes it: no leading zeros.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.len() > 1 && part[0] == b'0' {
            return None;
        }
        *octet = u8::try_from(number(part)?).ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// An IPv6 address, as the standard library takes it.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    if text.contains(&b'.') {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut groups = [0_u16; 8];
    let mut count = 0;
    let mut gap = None;
    let mut rest = text;
    if let Some(after) = rest.strip_prefix(b"::") {
        gap = Some(0);
        rest = after;
    }
    while !rest.is_empty() {
        let mut value = 0;
        let mut digits = 0;
        while let Some(digit) = rest.get(digits).and_then(|&byte| hex_digit(byte)) {
            value = value << 4 | u32::from(digit);
            digits += 1;
            if digits > 4 {
                return None;
            }
        }
        if digits == 0 {
            return None;
        }
        *groups.get_mut(count)? = value as u16;
        count += 1;
        rest = &rest[digits..];
        if let Some(after) = rest.strip_prefix(b"::") {
            if gap.replace(count).is_some() {
                return None;
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix(b":") {
            if after.is_empty() {
                return None;
            }
            rest = after;
        } else if !rest.is_empty() {
            return None;
        }
    }
    match gap {
        None if count < 8 => return None,
        // `::` stands for at least one group.
        Some(_) if count == 8 => return None,
        Some(gap) => {
            groups.copy_within(gap..count, 8 - (count - gap));
            groups[gap..8 - (count - gap)].fill(0);
        }
        None => {}
    }
    Some(groups.into())
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Text from a file in a message: quoted, made printable, cut to 40 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(40).collect();
    let more = if characters.next().is_some() { "..." } else { "" };
    format!("{start:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn takes_what_the_standard_library_takes(text in "[0-9a-fA-F:.g+ ]{0,24}") {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn takes_every_address(v4: u32, v6: u128, keep: u128) {
            let v4 = Ipv4Addr::from(v4);
            prop_assert_eq!(ipv4(v4.to_string().as_bytes()), Some(v4));
            for bits in [v6, v6 & keep, v6 & keep & keep.rotate_left(9), v6 & 0xffff_ffff] {
                let v6 = Ipv6Addr::from(bits);
                prop_assert_eq!(ipv6(v6.to_string().as_bytes()), Some(v6));
            }
        }

        #[test]
        fn groups_and_gaps(text in "(::)?([0-9a-f]{1,5}:{1,2}){0,9}[0-9a-f]{0,2}") {
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse().ok(), "{}", text);
        }

        #[test]
        fn numbers(text in "[0-9+ ]{0,6}") {
            let strict = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 5;
            prop_assert_eq!(number(text.as_bytes()), text.parse().ok().filter(|_| strict));
        }
    }

    #[test]
    fn shown_is_short_and_printable() {
        assert_eq!(shown("a\u{1b}b"), "\"a\\u{1b}b\"");
        assert_eq!(shown(&"x".repeat(41)), format!("\"{}\"...", "x".repeat(40)));
    }
}
