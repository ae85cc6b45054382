//! The control plane: publishes what workers read, changes it while they run, and answers for it.
//!
//! ```text
//!  SIGHUP, watch, `lwaftr reload` --> reload --+
//!                                              +--> editor --> publisher --> workers
//!  `lwaftr softwire add|del` ------> batch ----+      |
//!  `lwaftr config rollback`, time --> undo ----+      +--> history, journal (fsync)
//!  `lwaftr stats|latency|...` --> counters, histograms
//! ```
//!
//! [`Editor`] is plain synchronous code; `server` and `service` put it behind a Unix socket, on one
//! thread that is kept off the workers' CPUs.

mod access;
pub mod actor;
mod answers;
pub mod audit;
mod batch;
mod binding;
pub mod capture;
mod change;
pub mod client;
#[cfg(feature = "dpdk")]
pub(crate) mod clock;
mod compare;
#[cfg(feature = "dpdk")]
pub(crate) mod cpus;
#[cfg(feature = "dpdk")]
mod crew;
mod diff;
mod durable;
mod editor;
#[cfg(test)]
mod editor_tests;
mod error;
pub mod event;
mod expiry;
mod fallback;
mod filters;
mod fold;
pub mod history;
mod journal;
mod keys;
mod known;
mod making;
mod monitor;
#[cfg(feature = "dpdk")]
mod nodes;
mod opening;
mod orders;
mod places;
#[cfg(feature = "dpdk")]
mod ports;
pub mod protocol;
mod publisher;
mod rebuild;
mod reload;
mod row;
mod server;
mod service;
mod socket;
mod state;
mod steering;
#[cfg(feature = "dpdk")]
mod supervisor;
mod systemd;
#[cfg(test)]
mod testing;
pub mod top;
mod undo;
mod watch;
mod well_being;

pub use access::Stamp;
pub use actor::{Actor, Order};
pub use batch::{Batch, Edited};
pub use change::{Change, Changes};
pub use compare::TableDifference;
pub use diff::DiffReport;
pub use editor::{Editor, PortMacs};
pub use error::{ControlError, ErrorKind};
pub use event::Event;
pub use fallback::load;
#[cfg(feature = "dpdk")]
pub(crate) use filters::accelerate as accelerate_filters;
pub use fold::Folded;
pub use journal::{Journal, JournalError, default_path as default_journal};
pub use keys::NewKey;
pub use monitor::Health;
pub(crate) use places::{Place, Places};
pub use publisher::{Larger, Publisher};
pub use reload::{Basis, Prepared, ReloadOptions, ReloadReport, prepare};
pub use row::{Key, Row};
pub use service::Service;
pub use socket::Socket;
pub(crate) use socket::is_trusted;
pub use state::{Control, Instruments, NOT_COUNTED, ReadPools, ReadPorts};
pub use steering::TakeAll;
#[cfg(feature = "dpdk")]
pub use supervisor::supervise;
pub use well_being::DRAIN_GRACE;
