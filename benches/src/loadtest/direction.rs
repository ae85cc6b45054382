//! Which way frames go.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// One way through the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the Internet to a B4: IPv4 in, IPv6 out.
    Encap,
    /// From a B4 to the Internet: IPv6 in, IPv4 out.
    Decap,
}

impl Direction {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Encap => "encap",
            Self::Decap => "decap",
        }
    }
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The ways that carry traffic in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directions {
    /// One of them.
    One(Direction),
    /// Both at the same rate.
    Both,
}

impl Directions {
    /// Each of them.
    pub(crate) fn each(self) -> Vec<Direction> {
        match self {
            Self::One(direction) => vec![direction],
            Self::Both => vec![Direction::Encap, Direction::Decap],
        }
    }

    /// Its name in reports and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One(direction) => direction.name(),
            Self::Both => "both",
        }
    }
}

impl fmt::Display for Directions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Directions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "encap" => Ok(Self::One(Direction::Encap)),
            "decap" => Ok(Self::One(Direction::Decap)),
            "both" => Ok(Self::Both),
            _ => Err("encap, decap or both".to_owned()),
        }
    }
}

impl Serialize for Directions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
