//! Softwires as the two modules say them: entries of ietf-softwire-br's binding table, and entries
//! of our own list.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::schema::Listed;
use crate::api::error::{ApiError, Tag};
use crate::control::{Editor, Key};
use crate::softwire::{Softwire, Tally};

/// The longest PSID that ietf-softwire-br can say.
pub(super) const LONGEST_PSID: u8 = 15;

/// The softwire that an entry of ietf-softwire-br's table stands for: the only one of its B4.
pub(super) fn only_one_of(editor: &Editor, b4: Ipv6Addr) -> Result<Option<Softwire>, ApiError> {
    match editor.of_b4(b4)[..] {
        [] => Ok(None),
        [only] if only.port_set.length() <= LONGEST_PSID => Ok(Some(only)),
        [only] => Err(ApiError::new(
            Tag::OperationFailed,
            format!(
                "{b4} has psid-len {}, which ietf-softwire-br cannot say: lwaftr:softwires has it",
                only.port_set.length()
            ),
        )
        .with_status(StatusCode::PRECONDITION_FAILED)),
        ref several => Err(ApiError::new(
            Tag::OperationFailed,
            format!(
                "{b4} has {} softwires, and ietf-softwire-br has one for each B4: \
                 lwaftr:softwires has them",
                several.len()
            ),
        )
        .with_status(StatusCode::PRECONDITION_FAILED)),
    }
}

/// True when a list has this softwire.
pub(super) fn is_listed(listed: Listed, editor: &Editor, softwire: &Softwire) -> bool {
    match listed {
        Listed::Softwires => true,
        Listed::BindingEntries => {
            softwire.port_set.length() <= LONGEST_PSID
                && (!editor.config().softwires.several_per_b4
                    || editor.of_b4(softwire.b4).len() == 1)
        }
    }
}

/// A softwire as an entry of a list.
pub(super) fn entry(listed: Listed, softwire: &Softwire, tally: Option<Tally>) -> Value {
    let Softwire { ipv4, port_set, b4, br } = softwire;
    match listed {
        Listed::BindingEntries => json!({
            "binding-ipv6info": b4.to_string(),
            "binding-ipv4-addr": ipv4.to_string(),
            "port-set": {
                "psid-offset": port_set.offset(),
                "psid-len": port_set.length(),
                "psid": port_set.psid(),
            },
            "br-ipv6-addr": br.to_string(),
        }),
        Listed::Softwires => {
            let mut entry = json!({
                "ipv4": ipv4.to_string(),
                "psid": port_set.psid(),
                "psid-offset": port_set.offset(),
                "psid-len": port_set.length(),
                "b4-ipv6": b4.to_string(),
                "br-ipv6": br.to_string(),
            });
            if let Some(tally) = tally {
                entry["counters"] = json!({
                    "to-b4-packets": tally.to_b4_packets.to_string(),
                    "to-b4-bytes": tally.to_b4_bytes.to_string(),
                    "from-b4-packets": tally.from_b4_packets.to_string(),
                    "from-b4-bytes": tally.from_b4_bytes.to_string(),
                });
            }
            entry
        }
    }
}

/// The key of an entry of ietf-softwire-br: an address, or its /128. Other prefixes are refused:
/// which address of them the B4 has is what the relay must know.
pub(super) fn b4_key(text: &str) -> Result<Ipv6Addr, ApiError> {
    let address = text.strip_suffix("/128").unwrap_or(text);
    address.parse().map_err(|_| {
        let what = if text.contains('/') {
            "a prefix shorter than /128 names no B4: its address"
        } else {
            "not an IPv6 address"
        };
        ApiError::new(Tag::InvalidValue, format!("binding-ipv6info {text}: {what}"))
    })
}

/// The key of an entry of our own list.
pub(super) fn own_key(keys: &[String]) -> Result<Key, ApiError> {
    let parsed = match keys {
        [ipv4, psid] => ipv4.parse::<Ipv4Addr>().ok().zip(psid.parse().ok()),
        _ => None,
    };
    let wrong = || ApiError::new(Tag::InvalidValue, "the key is an IPv4 address and a PSID");
    parsed.map(|(ipv4, psid)| Key { ipv4, psid }).ok_or_else(wrong)
}
