//! Counters of one worker: written by that worker alone, read by anybody, never locked.
//!
//! A1, per interface and in frames:
//! `in + reassembled = forwarded + hairpinned + answered + consumed + ignored + absorbed + drops + held`,
//! and for what leaves by it:
//! `out = forwarded by the other interface + hairpinned + answered + originated + extra fragments`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{DropReason, Examples, IgnoreReason};
use crate::side::Side;

/// A counter with one writer: adding is a load and a store, with no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this; another thread's addition could be lost.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` away again, from a counter of what is there now.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// The value now.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How much of something there is now, with one writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Says how much there is.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// How much there was when it was said last.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Frames and their bytes: as received or sent, with VLAN tag, without FCS.
#[derive(Debug, Default)]
pub struct PacketCounter {
    packets: Counter,
    bytes: Counter,
}

impl PacketCounter {
    /// Counts one frame.
    #[inline]
    pub fn count(&self, bytes: usize) {
        self.add(1, bytes as u64);
    }

    /// Counts several frames at once.
    #[inline]
    pub fn add(&self, packets: u64, bytes: u64) {
        self.packets.add(packets);
        self.bytes.add(bytes);
    }

    fn get(&self) -> PacketBytes {
        PacketBytes { packets: self.packets.get(), bytes: self.bytes.get() }
    }
}

/// A reading of frames and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacketBytes {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for PacketBytes {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

macro_rules! interface_counters {
    ($($(#[doc = $doc:literal])+ $field:ident = $key:literal,)+) => {
        /// What one worker counts about one interface. Cache lines of its own.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct InterfaceCounters {
            $($(#[doc = $doc])+ pub $field: Counter,)+
            /// By [`DropReason`].
            pub drops: [PacketCounter; DropReason::COUNT],
            /// By [`IgnoreReason`].
            pub ignored: [PacketCounter; IgnoreReason::COUNT],
        }

        impl Default for InterfaceCounters {
            fn default() -> Self {
                Self {
                    $($field: Counter::default(),)+
                    drops: std::array::from_fn(|_| PacketCounter::default()),
                    ignored: std::array::from_fn(|_| PacketCounter::default()),
                }
            }
        }

        /// A reading of an interface's counters, summed over workers.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct InterfaceTotals {
            $($(#[doc = $doc])+ pub $field: u64,)+
            /// By [`DropReason`].
            pub drops: [PacketBytes; DropReason::COUNT],
            /// By [`IgnoreReason`].
            pub ignored: [PacketBytes; IgnoreReason::COUNT],
        }

        impl Default for InterfaceTotals {
            fn default() -> Self {
                Self {
                    $($field: 0,)+
                    drops: [PacketBytes::default(); DropReason::COUNT],
                    ignored: [PacketBytes::default(); IgnoreReason::COUNT],
                }
            }
        }

        impl InterfaceTotals {
            /// Adds one worker's counters.
            pub fn add(&mut self, counters: &InterfaceCounters) {
                $(self.$field += counters.$field.get();)+
                for (total, counter) in self.drops.iter_mut().zip(&counters.drops) {
                    *total += counter.get();
                }
                for (total, counter) in self.ignored.iter_mut().zip(&counters.ignored) {
                    *total += counter.get();
                }
            }

            /// What the plain counters of [`Self::named`] mean, for people.
            pub const MEANINGS: &'static [&'static str] = &[$(concat!($($doc),+)),+];

            /// The plain counters with the names they are reported under.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($key, self.$field)),+]
            }
        }
    };
}

interface_counters! {
    /// Frames received.
    in_packets = "in-packets",
    /// Bytes received.
    in_bytes = "in-bytes",
    /// Frames received here and sent on the other interface.
    forwarded = "forwarded-packets",
    /// Frames received here and sent back here, to another B4.
    hairpinned = "hairpinned-packets",
    /// Bytes of frames received here and sent back here, to another B4.
    hairpinned_bytes = "hairpinned-bytes",
    /// Frames received here that an answer went out for: ARP, NDP, echo.
    answered = "answered-packets",
    /// Frames that were for the relay itself and end here.
    consumed = "consumed-packets",
    /// Fragments that became part of a reassembled packet.
    absorbed = "absorbed-packets",
    /// Bytes of fragments that became part of a reassembled packet.
    absorbed_bytes = "absorbed-bytes",
    /// Packets put together from fragments.
    reassembled = "reassembled-packets",
    /// Frames waiting for a neighbour or a fragment.
    held = "held-packets",
    /// Frames sent here that the relay made: ICMP errors, ARP and NDP requests.
    originated = "originated-packets",
    /// ICMPv4 errors sent here; on the internal interface those through a tunnel.
    icmpv4_error_packets = "icmpv4-error-packets",
    /// Bytes of the ICMPv4 errors sent here.
    icmpv4_error_bytes = "icmpv4-error-bytes",
    /// ICMPv6 errors sent here.
    icmpv6_error_packets = "icmpv6-error-packets",
    /// Bytes of the ICMPv6 errors sent here.
    icmpv6_error_bytes = "icmpv6-error-bytes",
    /// Fragments sent here beyond the first of their packet.
    extra_fragments = "extra-fragments",
    /// Frames sent.
    out_packets = "out-packets",
    /// Bytes sent.
    out_bytes = "out-bytes",
    /// ICMP errors and answers that a rate limit held back (I6).
    suppressed_errors = "suppressed-errors",
    /// Frames that showed that another station has an address of ours (N1, N2).
    address_conflicts = "address-conflicts",
}

impl InterfaceTotals {
    /// The one among the plain counters that falls as well.
    pub const HELD: &'static str = "held-packets";

    /// Frames of other people's traffic.
    #[must_use]
    pub fn ignored_packets(&self) -> u64 {
        self.ignored.iter().map(|counted| counted.packets).sum()
    }

    /// Frames dropped, whatever the reason.
    #[must_use]
    pub fn dropped_packets(&self) -> u64 {
        self.drops.iter().map(|counted| counted.packets).sum()
    }

    /// A1: what came in minus what became of it; 0 when every frame is accounted for.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let came = self.in_packets + self.reassembled;
        let went = self.forwarded
            + self.hairpinned
            + self.answered
            + self.consumed
            + self.ignored_packets()
            + self.absorbed
            + self.dropped_packets()
            + self.held;
        came as i64 - went as i64
    }
}

/// All that one worker counts.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    interfaces: [InterfaceCounters; 2],
    examples: [Examples; 2],
    /// What waits to be reassembled, as the worker's timers have found it last.
    pub reassembly: Reassembly,
}

/// What waits to be reassembled (F1).
#[derive(Debug, Default)]
pub struct Reassembly {
    /// Packets that are not whole yet.
    pub packets: Gauge,
    /// Bytes of memory that their fragments take.
    pub bytes: Gauge,
}

impl WorkerCounters {
    /// The counters of one interface.
    #[inline]
    #[must_use]
    pub fn of(&self, side: Side) -> &InterfaceCounters {
        match side {
            Side::External => &self.interfaces[0],
            Side::Internal => &self.interfaces[1],
        }
    }

    /// Examples of frames that one interface received and that were dropped.
    #[must_use]
    pub fn examples(&self, side: Side) -> &Examples {
        match side {
            Side::External => &self.examples[0],
            Side::Internal => &self.examples[1],
        }
    }
}
