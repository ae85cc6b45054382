//! How a verb ends when it does not end well.

use std::fmt;

use crate::config::ConfigErrors;

/// Why a verb did not succeed; each kind has its exit code, the text is what the person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer, which was printed, is a negative one.
    Negative,
    /// The answer is no: a bad configuration, a refused edit, nothing found.
    Refused(String),
    /// Files are wrong: a line for each error, `file:line: key: what is wrong`.
    Files(String),
    /// The command line makes no sense.
    Usage(String),
    /// No running instance answers.
    Unreachable(String),
    /// Our own fault.
    Internal(String),
}

impl Failure {
    /// What is printed: errors of files as they are, for editors to find their places.
    #[must_use]
    pub fn report(&self) -> String {
        match self {
            Self::Files(text) => text.clone(),
            _ => format!("lwaftr: {self}"),
        }
    }

    /// What the process exits with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Negative | Self::Refused(_) | Self::Files(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Internal(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative => Ok(()),
            Self::Refused(text)
            | Self::Files(text)
            | Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Internal(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Files(errors.to_string())
    }
}
