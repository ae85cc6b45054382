//! Softwires and their binding table: (IPv4 address, PSID) -> (B4 address, BR address).
//!
//! [`PortSet`] is RFC 7597 section 5.1's arithmetic, [`Softwire`] one entry, [`BindingTable`] all
//! of them in the shape the fast path looks them up in, [`mod@file`] the CSV they are kept in.

mod entry;
pub mod file;
mod port_set;
mod table;
mod text;

pub use entry::{B4Problem, Binding, Softwire};
pub use port_set::{PortSet, PortSetError};
pub(crate) use table::Entries;
pub use table::{
    Applied, BindingTable, Direction, Edit, EditError, Endpoints, Key, Retired, RowError,
    RowProblem, Rules, Slot, SoftwireCounter, TableWriter, Tally,
};
pub(crate) use text::shown;
