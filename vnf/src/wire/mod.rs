//! Protocols on the wire: one file each, with typed views of headers, constants and checksums.
//! Nothing here knows anything else of ours. Multi-byte fields are big-endian on the wire; every
//! getter returns host order.

mod mac;

pub use mac::{MacAddr, ParseMacError};
