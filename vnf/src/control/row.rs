//! Softwires as JSON, in requests, replies and the journal. The names are the table file's columns.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::binding::Leases;
use crate::softwire::{Binding, BindingTable, PortSet, Softwire, Tally};

/// A softwire as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    /// The subscriber's IPv4 address.
    pub ipv4: Ipv4Addr,
    /// PSID offset a.
    #[serde(default)]
    pub psid_offset: u8,
    /// PSID length k; 0 is the whole address.
    #[serde(default)]
    pub psid_len: u8,
    /// The PSID.
    #[serde(default)]
    pub psid: u16,
    /// The customer's end of the tunnel.
    pub b4_ipv6: Ipv6Addr,
    /// Our end; may be left out where there is one BR address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub br_ipv6: Option<Ipv6Addr>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl Row {
    /// The softwire it describes, or what is wrong with it.
    pub fn softwire(&self, br_addresses: &[Ipv6Addr]) -> Result<Softwire, String> {
        let port_set = PortSet::new(self.psid_offset, self.psid_len, self.psid)
            .map_err(|problem| problem.to_string())?;
        let br = match (self.br_ipv6, br_addresses) {
            (Some(br), _) => br,
            (None, [only]) => *only,
            (None, several) => {
                return Err(format!(
                    "br-ipv6 is missing: name one of the {} BR addresses",
                    several.len()
                ));
            }
        };
        Ok(Softwire { ipv4: self.ipv4, port_set, b4: self.b4_ipv6, br })
    }

    /// The same with its end.
    pub fn binding(&self, br_addresses: &[Ipv6Addr]) -> Result<Binding, String> {
        Ok(Binding { softwire: self.softwire(br_addresses)?, until: self.valid_until })
    }

    /// What names it.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { ipv4: self.ipv4, psid: self.psid }
    }

    /// As a line of a table file, without the newline.
    #[must_use]
    pub fn csv(&self) -> String {
        let Self { ipv4, psid_offset, psid_len, psid, b4_ipv6, br_ipv6, valid_until } = self;
        let br = br_ipv6.map(|br| br.to_string()).unwrap_or_default();
        let mut text = format!("{ipv4},{psid_offset},{psid_len},{psid},{b4_ipv6}");
        if br_ipv6.is_some() || valid_until.is_some() {
            text += &format!(",{br}");
        }
        if let Some(until) = valid_until {
            text += &format!(",{until}");
        }
        text
    }
}

impl From<Softwire> for Row {
    fn from(Softwire { ipv4, port_set, b4, br }: Softwire) -> Self {
        Self {
            ipv4,
            psid_offset: port_set.offset(),
            psid_len: port_set.length(),
            psid: port_set.psid(),
            b4_ipv6: b4,
            br_ipv6: Some(br),
            valid_until: None,
        }
    }
}

impl From<Binding> for Row {
    fn from(Binding { softwire, until }: Binding) -> Self {
        Self { valid_until: until, ..Self::from(softwire) }
    }
}

/// A softwire of a running instance, with what it carried where that is counted.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct CountedRow {
    #[serde(flatten)]
    pub(super) row: Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counters: Option<Tally>,
}

impl CountedRow {
    pub(super) fn of(softwire: &Softwire, table: &BindingTable, leases: &Leases) -> Self {
        let counters = table.counts().then(|| table.tally(softwire).unwrap_or_default());
        Self { row: Row::from(leases.bind(*softwire)), counters }
    }
}

/// What names one softwire: no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Key {
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its PSID; 0 for a whole address.
    #[serde(default)]
    pub psid: u16,
}

impl Key {
    /// The key of a softwire.
    #[must_use]
    pub fn of(softwire: &Softwire) -> Self {
        Self { ipv4: softwire.ipv4, psid: softwire.port_set.psid() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} psid {}", self.ipv4, self.psid)
    }
}
