//! The management API: HTTP on loopback addresses, on others with TLS, and on a Unix socket.
//!
//! ```text
//!  listener -> connection (places, TLS, time limits) -> guard (Host, browsers, who, role) -> route
//! ```
//!
//! A resource is one line in `routes`, with the role that it needs. All of it runs on the control
//! thread; what takes its time there goes to a thread of its own ([`Control`] sees to that).
//!
//! [`Control`]: crate::control::Control

mod caller;
mod connection;
mod error;
mod guard;
mod inspect;
mod listeners;
mod media;
mod page;
mod patient;
mod restconf;
mod routes;
mod well_being;

use std::sync::Arc;

pub use caller::{Caller, Peer};
pub use error::{ApiError, Tag};
pub use listeners::Api;
pub use media::{body, json_answer};
pub use routes::{Access, Routes};

use crate::control::Control;

/// What every resource is given.
#[derive(Clone)]
pub struct Handle {
    /// The instance.
    pub control: Arc<Control>,
}
