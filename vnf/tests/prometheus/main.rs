//! Debian's Prometheus, and a relay that it reads: the metrics, and the dashboard and alert rules that
//! come along.

#![allow(missing_docs)]

#[cfg(feature = "dpdk")]
mod agree;
#[cfg(feature = "dpdk")]
mod relay;
#[cfg(feature = "dpdk")]
#[path = "../running/mod.rs"]
#[allow(dead_code)]
mod running;
#[cfg(feature = "dpdk")]
mod scrape;
mod shipped;
