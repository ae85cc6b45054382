//! The border relay of lightweight 4over6 (lwAFTR, RFC 7596) as a library; `lwaftr` is its command.
//!
//! A packet goes one way: a worker receives a burst, [`lwaftr`] decides and rewrites, the worker
//! sends. `docs/architecture.md` shows the rooms and who may use whom.

pub mod api;
#[cfg(feature = "dpdk")]
pub mod bench;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod doctor;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod explain;
pub mod filter;
pub mod frame;
pub mod generate;
pub mod log;
pub mod lwaftr;
pub mod memory;
pub mod prepare;
pub mod replay;
pub mod side;
pub mod softwire;
pub mod telemetry;
pub mod wire;
pub mod worker;
