//! The targets, by what they are about. Included by the fuzzer's crate and by the plain test.

mod api;
mod files;
mod frames;
#[path = "../../../tests/config/judge.rs"]
mod judge;
mod mend;
mod socket;
mod world;

pub(crate) use api::api;
pub(crate) use files::{config, table_file};
pub(crate) use frames::{fragments, frame_external, frame_internal};
pub(crate) use socket::control;
