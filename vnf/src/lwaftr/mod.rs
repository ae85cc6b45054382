//! The relay itself (RFC 7596), free of DPDK: frames and a snapshot in, frames and counts out.
//!
//! A burst goes through three stages, so that its cache misses overlap: `external` or `internal`
//! classifies every frame and says what to look up, the binding table answers for all of them, and
//! each packet is rewritten or dropped. Where a packet's fate is decided:
//!
//! | file | what it decides |
//! | --- | --- |
//! | `usual` | nothing but that a packet goes through: the straight way of nearly all packets |
//! | `link` | frames that are not for us, or not IP (P1) |
//! | `others` | which kind of other people's group traffic a packet is (P1) |
//! | `external` | packets from the Internet (P2, P3, E1-E8) |
//! | `internal` | packets from the B4s (P4, D1-D7) |
//! | `keys` | which port, or identifier, tells the subscriber (E1, I1, I3) |
//! | `fragment` | cutting what is too large (E8, D5, F5) |
//! | `reassembly` | putting together what B4s had to cut (F1) |
//! | `fragment_ports` | whose an IPv4 fragment is (F2-F4) |
//! | `rewrite` | adding and taking away the tunnel header (E3-E6, D4) |
//! | `arp`, `ndp` | who has our addresses, and who else says so (N1, N2) |
//! | `answers` | ICMPv6 to our own addresses: whose it is (N2, N4, I4) |
//! | `echo` | what else is sent to our own addresses (N4, D7) |
//! | `mld` | routers that ask which groups we listen to (N2) |
//! | `errors` | ICMP errors of our own (I5, I6) |
//! | `tunnel_errors` | what others say of our tunnel packets (I4, M1) |
//! | `egress` | whether what cannot leave yet would be let out (Q1, E0) |
//! | `held` | what waits for a next hop (N3) |
//! | `neighbours` | the next hops' MAC addresses (N3) |
//! | `own_addresses`, `groups` | what was said of our addresses, and who else has them (N1, N2) |
//! | `announcements` | what the relay says by itself (N1, N2, N3) |
//! | `alarms` | what is wrong on the links (N1, N2, N3) |
//! | `tap`, `looked` | nothing: they show frames and lookups to who wants to see them |
//!
//! Every frame ends in one [`Verdict`]; `relay` counts it (A1).

mod aged;
mod alarms;
mod announcements;
mod answers;
mod arp;
mod context;
mod drops;
mod echo;
mod egress;
mod errors;
mod external;
mod fragment;
mod fragment_ports;
mod groups;
mod held;
mod internal;
mod keys;
mod limiter;
mod link;
mod looked;
mod mld;
mod ndp;
mod neighbours;
mod others;
mod outbox;
mod own_addresses;
mod reassembly;
mod relay;
mod rewrite;
mod settings;
mod snapshot;
mod tap;
mod tunnel_errors;
mod usual;
mod verdict;
mod waiting;

pub use fragment_ports::MOST_WAITING;
pub use held::MOST_HELD;
pub(crate) use link::side_of;
pub use looked::{Answer, Looked};
pub use outbox::Sent;
pub use relay::{Relay, RelayParts};
pub use settings::{
    DecapDscp, DecapTtl, Dscp, Ecn, External, Filters, FlowLabel, Fragment, Fragments, Hairpinning,
    Internal, Link, MssClamp, NextHop, Policy, Rates, Settings, TooBigDf,
};
pub use snapshot::Snapshot;
pub use verdict::Verdict;
