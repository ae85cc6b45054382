//! What an operator looks at a running instance with: captures, whose files tshark reads, and
//! `lwaftr top`, in a terminal of tmux.

#![cfg(feature = "dpdk")]
#![allow(missing_docs)]

mod capture;
mod instance;
#[path = "../running/mod.rs"]
#[allow(dead_code)]
mod running;
#[path = "../dpdk_vdev/support.rs"]
#[allow(dead_code)]
mod support;
mod top;
