//! Why the control plane did not do what it was asked.

use serde::{Deserialize, Serialize};

use crate::config::ConfigErrors;

/// Whose fault it is; decides the exit code of the command that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The answer is no.
    Refused,
    /// The files that the caller wants read are wrong: each line of the message is
    /// `file:line: key: what is wrong`.
    Files,
    /// The request makes no sense.
    Usage,
    /// Something that should work did not.
    Internal,
}

/// A refusal, in words that the caller and the log get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ControlError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ControlError {
    /// The answer is no.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, message: message.into() }
    }

    /// The request makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    /// Something that should work did not.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, message: message.into() }
    }
}

impl From<ConfigErrors> for ControlError {
    fn from(errors: ConfigErrors) -> Self {
        Self { kind: ErrorKind::Files, message: errors.to_string() }
    }
}
