//! Values of options that several verbs have: what is wrong with one, and what would be right.

use jiff::Timestamp;

use crate::wire::MacAddr;

/// The MAC address of a single station.
pub(super) fn station(text: &str) -> Result<MacAddr, String> {
    let mac: MacAddr = text.parse().map_err(|error| format!("{error}"))?;
    let what = if mac.is_multicast() {
        "a group address"
    } else if mac == MacAddr::default() {
        "nobody's address"
    } else {
        return Ok(mac);
    };
    Err(format!("{what}: one station's MAC address, like 02:00:00:00:00:01"))
}

/// A moment, with its offset from UTC.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "not a time: date, time and offset, like 2026-11-27T12:00:00Z or \
         2026-11-27T14:00:00+02:00"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_neither_a_group_nor_nobody() {
        assert_eq!(station("02:00:00:00:00:07"), Ok(MacAddr([2, 0, 0, 0, 0, 7])));
        for (text, problem) in [
            ("ff:ff:ff:ff:ff:ff", "a group address: one station's"),
            ("01:00:5e:00:00:05", "a group address: one station's"),
            ("00:00:00:00:00:00", "nobody's address: one station's"),
            ("02:00:00:00:00", "like 02:00:00:00:00:01"),
        ] {
            let error = station(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_one_looks_like() {
        assert!(time("2026-11-27T12:00:00Z").is_ok() && time("2026-11-27T14:00:00+02:00").is_ok());
        for text in ["x", "", "2026-11-27", "12:00:00", "yesterday"] {
            assert!(time(text).unwrap_err().contains("like 2026-11-27T12:00:00Z"), "{text}");
        }
    }
}
