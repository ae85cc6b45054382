//! The command line: one file per verb, each with its `Args` and `run`.

pub mod check;
mod describe;
mod failure;
pub mod generate;
pub mod replay;

pub use failure::Failure;
