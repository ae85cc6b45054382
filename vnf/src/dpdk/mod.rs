//! DPDK made safe: the only user of `dpdk-sys`.
//!
//! # Who owns what
//!
//! ```text
//! Eal ◄── Mempool ◄── Pools ◄── Port<Stopped> ──start──► Port<Started> + RxQueue, TxQueue ...
//!  ▲                                 ▲                         │  (one pair per worker)
//!  └──────── Device ──configure──────┘◄────────stop────────────┘  needs every queue back
//!
//! RxQueue ──receive──► Mbuf ──transmit──► the driver, which frees it
//!                       └──drop──► its pool
//! ```
//!
//! * [`Eal`] is a handle; DPDK is shut down when the last one is gone. Whatever needs DPDK holds
//!   one, so nothing outlives it.
//! * A [`Device`] is a port nobody has configured; [`Port`] says in its type whether it runs. Only
//!   a running port has queues to poll, and it cannot be stopped while a worker holds one of them.
//! * A queue cannot be cloned, and it can move to another thread but not be shared: exactly one
//!   worker polls it, which is what DPDK asks for.
//! * An [`Mbuf`] is owned like a `Box`: dropping it returns the buffer to its pool, sending it
//!   gives it to the driver, and it cannot be cloned. What the driver has accepted is never
//!   dropped here. A buffer that another holds too (a chain, a shared reference) is copied on
//!   reception, so that `&mut` bytes are ours alone.
//! * A [`Mempool`] is freed when its last handle is gone and every buffer is back. If one is not,
//!   the memory is leaked rather than freed under it.
//!
//! A debug build overwrites freed buffers and refuses to free one twice.

#![allow(unsafe_code)]

mod clock;
mod crash;
mod device;
mod eal;
mod error;
mod hugepages;
mod interface;
mod last_frames;
mod log;
mod mbuf;
mod mempool;
mod monitor;
mod offloads;
mod poison;
mod port;
mod preflight;
mod queue;
mod thread;

pub use clock::{Tsc, thread_cpu_time};
pub use crash::leave_captures;
pub use device::{Device, DeviceInfo};
pub use eal::{Eal, EalConfig, Hugepages, Memory, version};
pub use error::DpdkError;
pub use mbuf::Mbuf;
pub use mempool::{DpdkPool, Mempool, Pools};
pub use monitor::{Link, PortMonitor, PortReading, Ring};
pub use offloads::{Offers, Offloads};
pub use port::{Port, PortConfig, Started, StillInUse, Stopped};
pub use queue::{QueuePair, RxQueue, TxQueue};
pub use thread::ThreadRegistration;
