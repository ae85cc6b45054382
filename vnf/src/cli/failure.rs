//! How a verb ends when it does not end well.

use std::fmt;

/// Why a verb did not succeed; each kind has its exit code, the text is what the person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer is no: a bad configuration, a refused edit, nothing found.
    Refused(String),
    /// The command line makes no sense.
    Usage(String),
    /// No running instance answers.
    Unreachable(String),
    /// Our own fault.
    Internal(String),
}

impl Failure {
    /// What the process exits with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Internal(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(text)
        | Self::Usage(text)
        | Self::Unreachable(text)
        | Self::Internal(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Failure {}
