//! What can be wrong with a softwire among others.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::softwire::B4Problem;

/// What a table's softwires are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The relay's tunnel endpoints.
    pub br_addresses: &'a [Ipv6Addr],
    /// The relay's own IPv4 addresses.
    pub own_ipv4: &'a [Ipv4Addr],
    /// The relay's own IPv6 addresses, BR addresses aside.
    pub own_ipv6: &'a [Ipv6Addr],
    /// Allow one B4 to have several softwires.
    pub several_per_b4: bool,
    /// At most so many softwires.
    pub most: usize,
}

/// Nothing is ours, a B4 has one softwire, and there may be any number.
impl Default for Rules<'_> {
    fn default() -> Self {
        Self {
            br_addresses: &[],
            own_ipv4: &[],
            own_ipv6: &[],
            several_per_b4: false,
            most: usize::MAX,
        }
    }
}

/// A row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row, counted from 0 in the list that was given.
    pub row: usize,
    /// What is wrong with it.
    pub problem: RowProblem,
}

/// What is wrong with a row. Where another row is part of the problem, `other` is its number in the
/// same list, or nothing when it stands in the table already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowProblem {
    /// The same address and PSID twice.
    Duplicate {
        /// The other row.
        other: Option<usize>,
    },
    /// Another layout of ports than the address has already.
    Layout {
        /// The other row.
        other: Option<usize>,
        /// Its a and k.
        expected: (u8, u8),
        /// This row's a and k.
        found: (u8, u8),
    },
    /// The B4 has a softwire already, and may have only one.
    B4Twice {
        /// The other row.
        other: Option<usize>,
    },
    /// The BR address is not one of the relay's.
    BrNotOurs(Ipv6Addr),
    /// The B4 address cannot be one.
    BadB4(Ipv6Addr, B4Problem),
    /// The B4 address is the relay's.
    B4IsOurs(Ipv6Addr),
    /// The IPv4 address is the relay's.
    AddressIsOurs(Ipv4Addr),
    /// Too few subscribers for the room that their long PSIDs need.
    TooSparse {
        /// The address.
        address: Ipv4Addr,
        /// k.
        length: u8,
    },
    /// There would be more softwires than there may be.
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// The system has no address space for the table; about no row in particular.
    NoRoom {
        /// What was asked for.
        mebibytes: usize,
        /// What it said.
        why: String,
    },
    /// There is nothing like it to remove.
    NotThere,
}

impl RowProblem {
    /// The other row that is part of the problem, when it stands in the same list.
    #[must_use]
    pub fn other(&self) -> Option<usize> {
        match self {
            Self::Duplicate { other } | Self::Layout { other, .. } | Self::B4Twice { other } => {
                *other
            }
            _ => None,
        }
    }
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { .. } => {
                f.write_str("this address and PSID has a softwire already: give it to one B4 only")
            }
            Self::Layout { expected: (a, k), found: (found_a, found_k), .. } => write!(
                f,
                "psid-offset {found_a}, psid-len {found_k} on an address that has psid-offset {a}, \
                 psid-len {k}: all softwires of an address share one layout"
            ),
            Self::B4Twice { .. } => f.write_str(
                "this B4 has a softwire already: use another B4 address, or set several-per-b4 = true",
            ),
            Self::BrNotOurs(br) => {
                write!(f, "{br} is not a BR address of this relay: use one of br-addresses")
            }
            Self::BadB4(b4, problem) => {
                write!(f, "B4 address {b4} {problem}: use a global unicast address")
            }
            Self::B4IsOurs(b4) => write!(f, "B4 address {b4} is the relay's own: use the customer's"),
            Self::AddressIsOurs(address) => {
                write!(f, "{address} is the relay's own external address: softwires need others")
            }
            Self::TooSparse { address, length } => write!(
                f,
                "{address} with psid-len {length} reserves {} entries for few subscribers, more than \
                 64 per softwire of the table: use a shorter psid-len, or fill the address",
                1_u32 << length
            ),
            Self::TooMany { most } => write!(
                f,
                "one softwire more than the {most} that softwires.max-softwires allows: raise it, or \
                 remove others"
            ),
            Self::NoRoom { mebibytes, why } => write!(
                f,
                "{mebibytes} MiB of address space for the table cannot be reserved ({why}): raise \
                 `ulimit -v` (systemd: LimitAS=), or allow vm.overcommit_memory other than 2"
            ),
            Self::NotThere => f.write_str("there is no such softwire"),
        }
    }
}
