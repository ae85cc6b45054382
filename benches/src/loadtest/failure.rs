//! Why a measurement could not be made.

use std::fmt;

use vnf::dpdk::DpdkError;

/// What is wrong and what would be right, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<DpdkError> for Failure {
    fn from(error: DpdkError) -> Self {
        Self(error.to_string())
    }
}
