//! Alarms: what somebody should look after, from when it begins until it is over. Each kind stands
//! here once; its name, severity, meaning and remedy in logs, statistics, metrics and documentation
//! derive from it. RFC 8632 has the ideas.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::side::Side;
use crate::wire::MacAddr;

/// How bad it is, as RFC 8632 tells severities apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may become worse.
    Warning,
    /// Something is not as it should be; traffic is carried.
    Minor,
    /// Some traffic is not carried, or soon will not be.
    Major,
    /// A side, or a worker, carries nothing.
    Critical,
}

impl Severity {
    /// Its name in JSON and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

macro_rules! alarms {
    ($($(#[doc = $text:literal])+ $variant:ident = $key:literal, $severity:ident, $remedy:literal;)+) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AlarmKind { $($(#[doc = $text])+ $variant,)+ }

        impl AlarmKind {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in statistics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $key),+ }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+)),+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }
        }
    };
}

alarms! {
    /// No next hop of the side has answered three questions in a row (N3).
    NextHopUnresolved = "next-hop-unresolved", Critical,
        "is the router up, and on this link and VLAN? does it have this address?";
    /// The preferred next hop does not answer, and another one of the list is used (N3).
    NextHopFallback = "next-hop-fallback", Warning,
        "is that router up, and on this link and VLAN?";
    /// The port's link is down.
    LinkDown = "link-down", Critical,
        "is the cable in, and is the other end up?";
    /// Another station has an address of ours (N1, N2).
    DuplicateAddress = "duplicate-address", Major,
        "find the station with this MAC address and take the address away from one of the two";
    /// More frames a second are dropped for a reason than `alarms.drop-rate` or `drop-rates` allow.
    DropRate = "drop-rate", Minor,
        "`lwaftr stats --examples` shows what the reason means, and such a frame";
    /// ICMP errors or answers are held back by a rate limit (I6).
    RateLimiterActive = "rate-limiter-active", Warning,
        "an attack, a scan or a routing loop? `lwaftr stats --examples` shows frames; limits are in [policy]";
    /// The port loses frames before a worker sees them: its ring is full, or no buffer is free.
    PortMissesPackets = "port-misses-packets", Major,
        "is a worker overloaded? more workers, or less traffic for this relay";
    /// Few packet buffers are free.
    MempoolLow = "mempool-low", Major,
        "who holds them? frames that wait (held-packets), or a port that does not send";
    /// Much of what fragments of tunnelled packets may take is taken: when it runs out, the oldest go (F1).
    ReassemblyLow = "reassembly-low", Warning,
        "an attack, or a path that cuts every packet? `internal.mtu` on both ends spares fragments; limits are in [fragments]";
    /// A worker makes no progress: nothing is forwarded on its queues.
    WorkerStalled = "worker-stalled", Critical,
        "is the process stopped, or its CPU taken by something else? restart it, and report its log";
    /// A worker is busy nearly all the time.
    WorkerOverloaded = "worker-overloaded", Major,
        "more workers (workers.cpus), or less traffic for this relay";
    /// The binding table is older than `alarms.table-age`.
    TableStale = "table-stale", Minor,
        "is what provisions softwires still at work?";
    /// The last reload was refused: what runs is not what the files say.
    ReloadFailed = "reload-failed", Major,
        "`lwaftr check` says what is wrong with the files; mend them and `lwaftr reload`";
}

/// Something that is wrong: `kind`, `side` and `about` tell one alarm from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// On which link; none when it is about the whole instance.
    pub side: Option<Side>,
    /// With which addresses, reason, pool or worker.
    pub about: String,
    /// What it comes to.
    pub text: String,
}

impl Alarm {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.side, &self.about) == (other.kind, other.side, &other.about)
    }

    /// "external, 192.0.2.254"
    pub(super) fn place(&self) -> String {
        match self.side {
            Some(side) => format!("{side}, {}", self.about),
            None => self.about.clone(),
        }
    }

    /// As JSON, with the time it was raised if that is known.
    #[must_use]
    pub fn to_json(&self, since: Option<SystemTime>) -> Value {
        let mut json = json!({
            "name": self.kind.name(),
            "severity": self.kind.severity().name(),
            "side": self.side.map(Side::name),
            "about": self.about,
            "text": self.text,
            "remedy": self.kind.remedy(),
        });
        if let Some(since) = since {
            json["since"] = seconds(since).into();
        }
        json
    }
}

/// Since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How a next hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHopStatus {
    /// Its address, unless its MAC address is given.
    pub address: Option<IpAddr>,
    /// Its MAC address, once it is known.
    pub mac: Option<MacAddr>,
    /// Whether it answers; one whose MAC address is given is not asked.
    pub answers: bool,
    /// Whether packets go there.
    pub in_use: bool,
}

impl NextHopStatus {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { address, mac, answers, in_use } = self;
        json!({
            "address": address.map(|address| address.to_string()),
            "mac": mac.map(|mac| mac.to_string()),
            "answers": answers,
            "in-use": in_use,
        })
    }
}
