//! Whatever the files hold, they are taken or refused with words.

use proptest::prelude::*;

use crate::judge::taken_or_refused;
use crate::{BASE, TABLE};

/// Replaces, removes, doubles and inserts pieces of a text.
fn mutated(text: &str, edits: &[(u8, prop::sample::Index, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (kind, place, piece) in edits {
        let at = place.index(bytes.len().max(1)).min(bytes.len());
        let end = (at + piece.len()).min(bytes.len());
        match kind % 4 {
            0 => drop(bytes.splice(at..end, piece.iter().copied())),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, piece.iter().copied())),
            _ => {
                let line = bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(0);
                let copy = bytes[at..at + line].to_vec();
                drop(bytes.splice(at..at, copy));
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[\\[\\]{}=\",.#:0-9a-f \n]{0,5}".prop_map(String::into_bytes),
    ];
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), piece), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_it_panic(toml: Vec<u8>, csv: Vec<u8>) {
        taken_or_refused(&toml, &csv);
        taken_or_refused(BASE.as_bytes(), &csv);
    }

    #[test]
    fn no_slip_makes_it_panic(in_toml in edits(), in_csv in edits()) {
        taken_or_refused(&mutated(BASE, &in_toml), TABLE.as_bytes());
        taken_or_refused(BASE.as_bytes(), &mutated(TABLE, &in_csv));
    }

    #[test]
    fn no_slip_in_the_full_configuration_makes_it_panic(in_toml in edits()) {
        let text = include_str!("../../../configs/lwaftr.toml").replace("# ", "");
        taken_or_refused(&mutated(&text, &in_toml), TABLE.as_bytes());
    }
}
