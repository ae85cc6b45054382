//! The egress filter's word on a packet that cannot be made ready to leave yet: because it will be
//! cut, and is asked about whole (Q1), or because the next hop is not known, which is asked for last
//! (E0). It is made on the side, as it would leave.

use super::context::Context;
use super::relay::Relay;
use super::rewrite::Changes;
use crate::frame::FramePool;
use crate::side::Side;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Outer};

/// The largest packet that can be asked about: the largest there is, in a tunnel.
const LARGEST: usize = ipv6::HEADER + u16::MAX as usize;

/// Where packets are made to be asked about.
#[derive(Debug)]
pub(super) struct Trial(Box<[u8; LARGEST]>);

impl Trial {
    pub(super) fn new() -> Self {
        Self(Box::new([0; LARGEST]))
    }

    /// A packet with these changes, in its tunnel if it is to be in one. `None` for what is longer
    /// than any packet.
    fn make(&mut self, packet: &[u8], changes: Changes, outer: Option<&Outer>) -> Option<&[u8]> {
        let (head, rest) = self.0.split_first_chunk_mut::<{ ipv6::HEADER }>()?;
        let inner = rest.get_mut(..packet.len())?;
        inner.copy_from_slice(packet);
        changes.make_in(inner);
        let start = match outer {
            Some(outer) => {
                ipv6::write_header(head, outer);
                0
            }
            None => ipv6::HEADER,
        };
        self.0.get(start..ipv6::HEADER + packet.len())
    }
}

impl<P: FramePool> Relay<P> {
    /// Would the egress filter let this packet out, were it ready?
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn would_let_out(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        packet: &Ipv4<'_>,
        changes: Changes,
        outer: Option<&Outer>,
    ) -> bool {
        let filters = &cx.snapshot.settings.filters;
        filters.egress[side.index()].is_none()
            || self
                .trial
                .make(packet.bytes(), changes, outer)
                .is_none_or(|packet| filters.lets_out(side, packet))
    }
}
