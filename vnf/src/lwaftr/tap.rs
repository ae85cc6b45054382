//! The worker's end of a capture (`crate::capture`): which frames are wanted, and what became of
//! them. Off, it costs a branch per burst and per send. On, a frame is copied when it comes and
//! when it leaves; one that is dropped is found again by where its bytes are, if they have not
//! moved, and is otherwise written once more as it is now.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwapOption, Cache};
use arrayvec::ArrayVec;

use super::keys::End;
use super::outbox::Fate;
use super::relay::Relay;
use crate::capture::{Capture, Event, Position, Slot, Way};
use crate::frame::{BURST, Frame, FramePool, TX_BURST};
use crate::side::Side;
use crate::softwire::Softwire;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ethernet::{Ethernet, ethertype};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;
use crate::wire::protocol;

/// One worker's end of a capture, if there is one.
pub(super) struct Tap {
    /// Where it would be found.
    slot: Option<Cache<Slot, Option<Arc<Capture>>>>,
    capture: Option<Arc<Capture>>,
    /// The time of day at time 0 of the worker's clock.
    epoch: u64,
    /// When the present burst was received.
    now: u64,
    /// Where the ring is written next.
    next: u64,
    /// Frames of the present burst: where their bytes are, and where they were written.
    received: ArrayVec<(usize, Position), BURST>,
    /// Frames about to be sent: the how manieth, and where they were written.
    leaving: ArrayVec<(usize, Position), TX_BURST>,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("capture", &self.capture).finish_non_exhaustive()
    }
}

impl Tap {
    /// No capture, and nowhere to look for one.
    pub(super) fn off() -> Self {
        Self {
            slot: None,
            capture: None,
            epoch: 0,
            now: 0,
            next: 0,
            received: ArrayVec::new(),
            leaving: ArrayVec::new(),
        }
    }

    pub(super) fn watch(&mut self, slot: Slot) {
        self.slot = Some(Cache::<Arc<ArcSwapOption<Capture>>, _>::new(slot));
    }

    /// Takes up a new capture, or lets go of one that has ended. It is not freed here: whoever
    /// started it still holds it.
    pub(super) fn look(&mut self, now: u64) {
        let Some(slot) = &mut self.slot else { return };
        self.now = now;
        let current = slot.load();
        let address = |capture: &Option<Arc<Capture>>| capture.as_ref().map(Arc::as_ptr);
        if address(current) == address(&self.capture) {
            return;
        }
        self.capture.clone_from(current);
        self.next = self.capture.as_ref().map_or(0, |capture| capture.ring.end());
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.epoch = (since_epoch.as_nanos() as u64).wrapping_sub(now);
        self.received.clear();
        self.leaving.clear();
    }

    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.capture.is_some()
    }

    /// Writes a frame if it is wanted.
    fn write(&mut self, side: Side, event: Event, frame: &[u8]) -> Option<Position> {
        self.write_start(side, event, frame, frame.len())
    }

    /// The same with the start of a frame of this length.
    fn write_start(
        &mut self,
        side: Side,
        event: Event,
        frame: &[u8],
        len: usize,
    ) -> Option<Position> {
        let capture = self.capture.as_deref()?;
        let wanted = &capture.wanted;
        let belongs = wanted.softwires.as_ref().is_none_or(|softwires| belongs(softwires, frame));
        if !belongs || !wanted.includes(side, event) {
            return None;
        }
        let time = self.now.wrapping_add(self.epoch);
        capture.ring.write(&mut self.next, time, (side, event), (frame, len), wanted.snap_length)
    }

    /// A burst has been received, and nothing was done to it yet.
    #[cold]
    pub(super) fn receive<F: Frame>(&mut self, side: Side, now: u64, burst: &[F]) {
        self.now = now;
        for frame in burst {
            let bytes = frame.bytes();
            if let Some(position) = self.write(side, Event::Received, bytes) {
                let _ = self.received.try_push((bytes.as_ptr().addr(), position));
            }
        }
    }

    /// A frame ends here.
    fn end(&mut self, side: Side, event: Event, frame: &[u8]) {
        let address = frame.as_ptr().addr();
        let written = self.received.iter().find(|(start, _)| *start == address);
        match (written, &self.capture) {
            (Some(&(_, position)), Some(capture)) => capture.ring.amend(position, side, event),
            _ => drop(self.write(side, event, frame)),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn dropped(&mut self, side: Side, reason: DropReason, frame: &[u8]) {
        self.end(side, Event::Dropped(reason), frame);
    }

    /// A fragment that waited is dropped: how its frame begins, and how long it was.
    #[cold]
    #[inline(never)]
    pub(super) fn given_up(&mut self, side: Side, reason: DropReason, start: &[u8], len: usize) {
        self.write_start(side, Event::Dropped(reason), start, len);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn ignored(&mut self, side: Side, reason: IgnoreReason, frame: &[u8]) {
        self.end(side, Event::Ignored(reason), frame);
    }

    /// The burst has been dealt with: the reader may have it.
    pub(super) fn publish(&mut self) {
        self.received.clear();
        self.leaving.clear();
        if let Some(capture) = &self.capture {
            capture.ring.publish(self.next);
        }
    }
}

impl<P: FramePool> Relay<P> {
    /// From now on captures are looked for here.
    pub fn watch_captures(&mut self, slot: Slot) {
        self.tap.watch(slot);
    }

    /// Frames are about to be sent. If the port does not take all, they are not there any more to
    /// be asked what they were.
    #[cold]
    pub(super) fn tap_leaving(&mut self, side: Side) {
        for (number, (fate, frame)) in self.out[side.index()].leaving().enumerate() {
            let way = match fate {
                Fate::Forwarded => Way::Forwarded,
                Fate::Piece => Way::Fragment,
                Fate::Hairpinned => Way::Hairpinned,
                Fate::Answered => Way::Answer,
                Fate::Icmpv4Error | Fate::Icmpv6Error | Fate::Originated => Way::Originated,
            };
            if let Some(position) = self.tap.write(side, Event::Sent(way), frame.bytes()) {
                let _ = self.tap.leaving.try_push((number, position));
            }
        }
    }

    /// The port took so many of them.
    #[cold]
    pub(super) fn tap_sent(&mut self, side: Side, accepted: usize) {
        if let Some(capture) = &self.tap.capture {
            for &(number, position) in &self.tap.leaving {
                if number >= accepted {
                    capture.ring.amend(position, side, Event::Refused);
                }
            }
        }
        self.tap.publish();
    }
}

/// Does a frame belong to one of these softwires? By its IPv4 packet, in a tunnel or not, where
/// there is one: the address, and the port if one can be told. By the B4's address otherwise.
fn belongs(softwires: &[Softwire], frame: &[u8]) -> bool {
    let Some(ethernet) = Ethernet::parse(frame) else { return false };
    let bytes = frame.get(ethernet.header_len()..).unwrap_or_default();
    match ethernet.ethertype {
        ethertype::IPV4 => ipv4_belongs(softwires, bytes),
        ethertype::IPV6 => {
            let Ok(packet) = Ipv6::parse_embedded(bytes) else { return false };
            match packet.upper_unchecked() {
                Ok(upper) if upper.protocol == protocol::IPV4 => {
                    ipv4_belongs(softwires, upper.payload)
                }
                _ => softwires.iter().any(|softwire| {
                    let b4 = u128::from(softwire.b4);
                    packet.source() == b4 || packet.destination() == b4
                }),
            }
        }
        _ => false,
    }
}

fn ipv4_belongs(softwires: &[Softwire], bytes: &[u8]) -> bool {
    let Ok(packet) = Ipv4::parse_embedded(bytes) else { return false };
    softwires.iter().any(|softwire| {
        [End::Source, End::Destination].into_iter().any(|end| {
            let has_port = |port| softwire.port_set.contains(port);
            end.address(&packet) == softwire.ipv4
                && (packet.is_later_fragment() || end.port(&packet).map_or(true, has_port))
        })
    })
}
