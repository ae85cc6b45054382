//! The few primitives that need to speak of memory itself: large zeroed arrays, prefetching, and
//! the generations by which the publisher knows what no worker can still hold.
#![allow(unsafe_code)]

pub(crate) mod code;
mod generations;
pub mod numa;
mod prefetch;
mod region;

pub use generations::{Generations, Reader};
pub use prefetch::prefetch;
pub use region::{Region, Zeroed};
