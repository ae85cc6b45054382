//! One softwire.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use super::PortSet;

/// One IPv4-in-IPv6 tunnel between a B4 and the border relay: an entry of the binding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Softwire {
    /// The subscriber's IPv4 address, shared with others when `port_set` is not the whole address.
    pub ipv4: Ipv4Addr,
    /// The ports of that address that belong to this softwire.
    pub port_set: PortSet,
    /// The customer's end of the tunnel.
    pub b4: Ipv6Addr,
    /// Our end of the tunnel: one of the relay's BR addresses.
    pub br: Ipv6Addr,
}

/// A softwire, and until when it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The softwire.
    pub softwire: Softwire,
    /// When it ends by itself; `None` for never.
    pub until: Option<Timestamp>,
}

impl Binding {
    /// It has not ended by itself.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl From<Softwire> for Binding {
    fn from(softwire: Softwire) -> Self {
        Self { softwire, until: None }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.softwire)?;
        self.until.map_or(Ok(()), |until| write!(f, " until {until}"))
    }
}

/// Why an IPv6 address cannot be a B4's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum B4Problem {
    /// `::`
    #[error("is the unspecified address")]
    Unspecified,
    /// `::1`
    #[error("is the loopback address")]
    Loopback,
    /// ff00::/8
    #[error("is a multicast address")]
    Multicast,
    /// fe80::/10
    #[error("is a link-local address")]
    LinkLocal,
}

impl Softwire {
    /// Checks the B4 address by itself: it must be one that a packet can come from and go to.
    pub fn check_b4(b4: Ipv6Addr) -> Result<(), B4Problem> {
        if b4.is_unspecified() {
            Err(B4Problem::Unspecified)
        } else if b4.is_loopback() {
            Err(B4Problem::Loopback)
        } else if b4.is_multicast() {
            Err(B4Problem::Multicast)
        } else if b4.is_unicast_link_local() {
            Err(B4Problem::LinkLocal)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Softwire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} B4 {} BR {}", self.ipv4, self.port_set, self.b4, self.br)
    }
}
