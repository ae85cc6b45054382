//! Raw bindings to the parts of DPDK that lwaftr uses, and nothing else: `build.rs` names them one
//! by one. Inline functions of DPDK's headers are reached through shims compiled beside them.
//!
//! Everything here is as unsafe as C. `vnf::dpdk` is its only user and the place where the rules
//! of ownership are written down.

#[allow(
    missing_docs,
    unsafe_code,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
