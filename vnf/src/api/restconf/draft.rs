//! Entries in a request, and how values in a body are read.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::binding::{LONGEST_PSID, b4_key};
use super::schema::Listed;
use crate::api::error::{ApiError, Tag};
use crate::softwire::{PortSet, Softwire};

/// An entry in a request, whose leaves need not all be there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Draft {
    pub(super) ipv4: Option<Ipv4Addr>,
    pub(super) psid_offset: Option<u8>,
    pub(super) psid_len: Option<u8>,
    pub(super) psid: Option<u16>,
    pub(super) b4: Option<Ipv6Addr>,
    pub(super) br: Option<Ipv6Addr>,
}

impl Draft {
    /// Reads an entry of a list. `at` is where it stands, for errors.
    pub(super) fn read(listed: Listed, entry: &Value, at: &str) -> Result<Self, ApiError> {
        let mut draft = Self::default();
        match listed {
            Listed::BindingEntries => {
                for (name, value) in members(entry, at)? {
                    let at = format!("{at}/{name}");
                    match name {
                        "binding-ipv6info" => {
                            draft.b4 =
                                Some(b4_key(text(value, &at)?).map_err(|error| error.at(&at))?);
                        }
                        "binding-ipv4-addr" => draft.ipv4 = Some(parsed(value, &at)?),
                        "br-ipv6-addr" => draft.br = Some(parsed(value, &at)?),
                        "port-set" => {
                            for (name, value) in members(value, &at)? {
                                let at = format!("{at}/{name}");
                                match name {
                                    "psid-offset" => {
                                        draft.psid_offset = Some(number(value, 16, &at)?);
                                    }
                                    "psid-len" => {
                                        draft.psid_len =
                                            Some(number(value, LONGEST_PSID.into(), &at)?);
                                    }
                                    "psid" => {
                                        draft.psid = Some(number(value, u64::from(u16::MAX), &at)?);
                                    }
                                    _ => return Err(unknown(name, &at)),
                                }
                            }
                        }
                        _ => return Err(unknown(name, &at)),
                    }
                }
            }
            Listed::Softwires => {
                for (name, value) in members(entry, at)? {
                    let at = format!("{at}/{name}");
                    match name {
                        "ipv4" => draft.ipv4 = Some(parsed(value, &at)?),
                        "psid" => draft.psid = Some(number(value, u64::from(u16::MAX), &at)?),
                        "psid-offset" => draft.psid_offset = Some(number(value, 16, &at)?),
                        "psid-len" => draft.psid_len = Some(number(value, 16, &at)?),
                        "b4-ipv6" => draft.b4 = Some(parsed(value, &at)?),
                        "br-ipv6" => draft.br = Some(parsed(value, &at)?),
                        _ => return Err(unknown(name, &at)),
                    }
                }
            }
        }
        Ok(draft)
    }

    /// The softwire, what is missing taken from `old`, or else from the defaults.
    pub(super) fn softwire(
        &self,
        old: Option<&Softwire>,
        br_addresses: &[Ipv6Addr],
        at: &str,
    ) -> Result<Softwire, ApiError> {
        let missing =
            |name: &str| ApiError::new(Tag::MissingElement, format!("{name} is missing")).at(at);
        let old_set = old.map(|old| old.port_set);
        let or = |new: Option<u8>, old: fn(&PortSet) -> u8| new.or(old_set.as_ref().map(old));
        let port_set = PortSet::new(
            or(self.psid_offset, |set| set.offset()).unwrap_or(0),
            or(self.psid_len, |set| set.length()).unwrap_or(0),
            self.psid.or(old_set.map(PortSet::psid)).unwrap_or(0),
        )
        .map_err(|problem| ApiError::new(Tag::InvalidValue, problem.to_string()).at(at))?;
        let only_br = match br_addresses {
            [only] => Some(*only),
            _ => None,
        };
        Ok(Softwire {
            ipv4: self
                .ipv4
                .or(old.map(|old| old.ipv4))
                .ok_or_else(|| missing("the IPv4 address"))?,
            port_set,
            b4: self.b4.or(old.map(|old| old.b4)).ok_or_else(|| missing("the B4's address"))?,
            br: self
                .br
                .or(old.map(|old| old.br))
                .or(only_br)
                .ok_or_else(|| missing("the BR address, as there are several,"))?,
        })
    }
}

/// The members of an object, their module's name taken away.
pub(super) fn members<'a>(
    value: &'a Value,
    at: &str,
) -> Result<impl Iterator<Item = (&'a str, &'a Value)>, ApiError> {
    let object = value
        .as_object()
        .ok_or_else(|| ApiError::new(Tag::InvalidValue, "must be an object").at(at))?;
    Ok(object.iter().map(|(name, value)| (local(name), value)))
}

/// A member's name without its module.
pub(super) fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, name)| name)
}

/// There is no such member.
pub(super) fn unknown(name: &str, at: &str) -> ApiError {
    let mut name = name.to_owned();
    name.truncate(name.char_indices().nth(64).map_or(name.len(), |(end, _)| end));
    ApiError::new(Tag::UnknownElement, format!("{name} is not known here")).at(at)
}

pub(super) fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, ApiError> {
    value.as_str().ok_or_else(|| ApiError::new(Tag::InvalidValue, "must be a string").at(at))
}

fn parsed<T: std::str::FromStr>(value: &Value, at: &str) -> Result<T, ApiError> {
    let wrong = || ApiError::new(Tag::InvalidValue, "must be an IP address").at(at);
    text(value, at)?.parse().map_err(|_| wrong())
}

/// A number up to `most`.
pub(super) fn number<T: TryFrom<u64>>(value: &Value, most: u64, at: &str) -> Result<T, ApiError> {
    let number = value.as_u64().filter(|&number| number <= most);
    number.and_then(|number| number.try_into().ok()).ok_or_else(|| {
        ApiError::new(Tag::InvalidValue, format!("must be a number from 0 to {most}")).at(at)
    })
}
