//! The two sides of the relay.

use std::fmt;

/// Which interface: the Internet's or the B4s'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// IPv4, towards the Internet.
    External = 0,
    /// IPv6, towards the B4s.
    Internal = 1,
}

impl Side {
    /// Both, in the order they are reported.
    pub const BOTH: [Self; 2] = [Self::External, Self::Internal];

    /// Its position in per-side arrays.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    #[inline]
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::External => Self::Internal,
            Self::Internal => Self::External,
        }
    }

    /// Its name in configuration, counters and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
