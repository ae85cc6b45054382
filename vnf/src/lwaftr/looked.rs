//! What was asked of the binding table and what it answered, for who wants to understand a decision.

use std::net::Ipv4Addr;

use super::context::Context;
use super::keys::End;
use super::relay::Relay;
use super::waiting::Waiting;
use crate::frame::FramePool;
use crate::softwire::{BindingTable, Key, Slot, Softwire};

/// A question to the binding table, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The packet's destination, as opposed to its source.
    pub is_destination: bool,
    /// The address.
    pub address: Ipv4Addr,
    /// The port, or the ICMP identifier, if one could be told.
    pub port: Option<u16>,
    /// The answer.
    pub answer: Answer,
}

/// What the binding table answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This softwire.
    Softwire(Softwire),
    /// Nobody: so many softwires have other ports of the address.
    Nobody(usize),
    /// The address is shared, and without a port nobody knows by whom.
    PortNeeded,
}

impl Looked {
    fn up(table: &BindingTable, end: End, key: Key) -> Self {
        let (address, port) = (Ipv4Addr::from(key.address()), key.port());
        let slot = table.locate(key);
        let answer = match table.endpoints(slot) {
            None if slot == Slot::PORT_NEEDED => Answer::PortNeeded,
            None => Answer::Nobody(table.at(address).len()),
            // A whole address has any port.
            Some(_) => match table.lookup(address, port.unwrap_or_default()) {
                Some(softwire) => Answer::Softwire(softwire),
                None => Answer::Nobody(0),
            },
        };
        Self { is_destination: end == End::Destination, address, port, answer }
    }
}

impl<P: FramePool> Relay<P> {
    /// From now on lookups are noted.
    pub fn note_lookups(&mut self) {
        self.looked = Some(Vec::new());
    }

    /// What was looked up since the last call, in order.
    pub fn take_lookups(&mut self) -> Vec<Looked> {
        self.looked.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes what is about to be looked up.
    #[cold]
    pub(super) fn note_keys<F, T: Copy + Default>(
        &mut self,
        cx: &Context<'_>,
        waiting: &Waiting<F, T>,
        end: End,
    ) {
        if let Some(looked) = &mut self.looked {
            looked.extend(waiting.keys().map(|key| Looked::up(&cx.snapshot.table, end, key)));
        }
    }
}
