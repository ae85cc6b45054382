//! What the relay does with a frame, and why, in words: `lwaftr explain`.
//!
//! Nothing is decided here. A frame goes through the relay ([`Session`]), and what is said is read
//! off what that did: which counters it counted, what it looked up, and how the frames that left
//! differ from the one that came. The words and rules of a drop are those of its reason
//! (`telemetry/reasons.rs`).

mod changes;
mod fate;
mod text;
mod view;

pub use fate::Fate;
pub use view::View;

use serde::Serialize;

use crate::lwaftr::{Answer, Looked};
use crate::replay::Session;
use crate::side::Side;
use crate::telemetry::InterfaceTotals;

/// One thing that was decided, by a rule of docs/behaviour.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The rule's number, or several.
    pub rules: Vec<&'static str>,
    /// What was decided, in words.
    pub text: String,
}

impl Decision {
    fn new(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rules: vec![rule], text: text.into() }
    }
}

/// A frame that the relay sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// By which interface.
    pub side: &'static str,
    /// What it was.
    #[serde(flatten)]
    pub view: View,
}

/// What happened to one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// Which record of the capture, from 1.
    pub number: u64,
    /// Nanoseconds since the first record.
    pub time: u64,
    /// The interface it came by.
    pub side: &'static str,
    /// What came.
    pub received: View,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
    /// How it ended.
    pub fates: Vec<Fate>,
    /// What left because of it.
    pub sent: Vec<Sent>,
}

/// What happened while time passed between two frames: fragments given up, for instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Meanwhile {
    /// How frames that waited ended.
    pub fates: Vec<Fate>,
    /// What left.
    pub sent: Vec<Sent>,
}

impl Meanwhile {
    /// True when nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty() && self.sent.is_empty()
    }
}

/// A relay that explains itself.
#[derive(Debug)]
pub struct Explainer {
    session: Session,
    number: u64,
}

impl Explainer {
    /// Explains what this relay does.
    #[must_use]
    pub fn new(mut session: Session) -> Self {
        session.note_lookups();
        Self { session, number: 0 }
    }

    /// The relay.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Lets time pass, in nanoseconds since the first record.
    pub fn wait(&mut self, time: u64) -> Meanwhile {
        let (fates, sent, _) = self.observe(|session| session.advance(time));
        Meanwhile { fates, sent }
    }

    /// Skips a record that is not to be explained.
    pub fn skip(&mut self) {
        self.number += 1;
    }

    /// Receives a frame, after [`Self::wait`] until its time.
    pub fn frame(&mut self, side: Side, time: u64, frame: &[u8]) -> Explanation {
        self.number += 1;
        let (fates, sent, lookups) =
            self.observe(|session| session.receive_burst(side, time, &[frame]));
        let received = View::of(frame);
        let mut decisions: Vec<Decision> =
            lookups.iter().enumerate().map(|lookup| looked_up(lookup, side, &received)).collect();
        changes::decide(&mut decisions, side, &received, &fates, &sent);
        let (number, side) = (self.number, side.name());
        Explanation { number, time, side, received, decisions, fates, sent }
    }

    fn observe(&mut self, act: impl FnOnce(&mut Session)) -> (Vec<Fate>, Vec<Sent>, Vec<Looked>) {
        let totals = |session: &Session| Side::BOTH.map(|side| session.totals(side));
        let before = totals(&self.session);
        act(&mut self.session);
        let after = totals(&self.session);
        let fates = Side::BOTH.into_iter().flat_map(|side| {
            let at = |totals: &[InterfaceTotals; 2]| totals[side.index()].clone();
            fate::between(side, &at(&before), &at(&after))
        });
        let sent = self.session.take_output().into_iter();
        let sent = sent.map(|(side, frame)| Sent { side: side.name(), view: View::of(&frame) });
        (fates.collect(), sent.collect(), self.session.take_lookups())
    }
}

/// The words of a lookup. The second one of a frame is about where it hairpins to.
fn looked_up((number, looked): (usize, &Looked), side: Side, received: &View) -> Decision {
    let rule = match (received.is_icmp(), looked.is_destination, side) {
        (_, true, Side::Internal) => "D6",
        (true, true, Side::External) => "I1",
        (true, false, _) => "I3",
        (false, true, Side::External) => "E1",
        (false, false, _) => "D2",
    };
    let end = if looked.is_destination { "destination" } else { "source" };
    let asked = match looked.port {
        Some(port) if received.is_icmp() => {
            format!("{}, identifier or port {port}", looked.address)
        }
        Some(port) => format!("{} port {port}", looked.address),
        None => looked.address.to_string(),
    };
    let again = if number > 0 { "then " } else { "" };
    let answer = match &looked.answer {
        Answer::Softwire(softwire) => text::softwire(softwire),
        Answer::Nobody(0) => "nobody has that address".to_owned(),
        Answer::Nobody(1) => "nobody; one softwire has other ports of the address".to_owned(),
        Answer::Nobody(others) => {
            format!("nobody; {others} softwires have other ports of the address")
        }
        Answer::PortNeeded => {
            "the address is shared, and the packet has no port to tell by whom".to_owned()
        }
    };
    Decision::new(rule, format!("{again}looked up the {end} {asked}: {answer}"))
}
