//! Printing answers.

use std::io::{ErrorKind, Write as _, stdout};

use super::Failure;

/// Prints to standard output. That whoever reads has seen enough is no failure: false says so.
pub(super) fn print(text: &str) -> Result<bool, Failure> {
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Internal(format!("cannot write the answer: {error}"))),
    }
}

/// Prints JSON, indented.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n")).map(|_| ())
}
