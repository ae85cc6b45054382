//! The relay against a naive model of its rules: the same frames, the same verdicts, the same
//! bytes, the same names of drops, and every frame accounted for.
//!
//! The model (`reference/`) is written from docs/behaviour.md alone and reads like it: one function
//! per rule, plain slices and a `HashMap`, nothing of the relay's own code. It knows no rates (the
//! golden cases prove those) and no flow labels by hash (the property tests do).
//!
//! `LWAFTR_FRAMES` sets how many frames are thrown, `LWAFTR_SEED` where their randomness starts.

#[path = "reference/bytes.rs"]
mod bytes;
#[path = "reference/cut.rs"]
mod cut;
#[path = "reference/errors.rs"]
mod errors;
#[path = "reference/external.rs"]
mod external;
#[path = "reference/fragments.rs"]
mod fragments;
#[path = "reference/generate.rs"]
mod generate;
#[path = "golden/identification.rs"]
mod identification;
#[path = "reference/internal.rs"]
mod internal;
#[path = "reference/ipv4.rs"]
mod ipv4;
#[path = "reference/keys.rs"]
mod keys;
#[path = "reference/link.rs"]
mod link;
#[path = "reference/mss.rs"]
mod mss;
#[path = "reference/ndp.rs"]
mod ndp;
#[path = "reference/others.rs"]
mod others;
#[path = "reference/pieces.rs"]
mod pieces;
#[path = "reference/relay.rs"]
mod relay;
#[path = "reference/rng.rs"]
mod rng;
#[path = "reference/tunnel_errors.rs"]
mod tunnel_errors;
#[path = "reference/verdict.rs"]
mod verdict;
#[path = "reference/world.rs"]
mod world;
#[path = "reference/worlds.rs"]
mod worlds;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use fragments::Event;
use generate::Generator;
use link::Arrived;
use relay::Tally;
use verdict::Verdict;
use vnf::frame::BURST;
use vnf::replay::Session;
use vnf::side::Side;
use world::World;

/// Frames in all, and configurations they are spread over.
const FRAMES: usize = 1_000_000;
const WORLDS: usize = 40;

#[test]
fn a_million_random_frames_get_the_models_verdicts() {
    let frames = number("LWAFTR_FRAMES", FRAMES);
    let seed = number("LWAFTR_SEED", 1) as u64;
    let mut seen = BTreeMap::new();
    for number in 0..WORLDS {
        let world = worlds::world(number);
        let seed = seed * 1000 + number as u64;
        throw(&world, number % 4 >= 2, seed, frames / WORLDS, &mut seen);
    }
    println!("{seen:#?}");
    if frames >= FRAMES {
        every_fate_was_seen(&seen);
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Throws frames at one configuration in bursts, and compares burst by burst.
fn throw(
    world: &World,
    on_a_stick: bool,
    seed: u64,
    count: usize,
    seen: &mut BTreeMap<&'static str, u64>,
) {
    let mut session = relay::session(world, on_a_stick);
    let mut generator = Generator::new(world, seed);
    let (mut thrown, mut now) = (0, 0);
    let mut expected = [Tally::default(), Tally::default()];
    let mut identifications = Identifications::default();
    let mut reports = 0;
    while thrown < count {
        let rng = generator.rng();
        let side = if rng.chance(50) { Arrived::External } else { Arrived::Internal };
        let len = if rng.chance(50) { 1 } else { 1 + rng.below(BURST) };
        // What a burst teaches may count for frames that came before it in the same burst.
        generator.may_teach = len == 1;
        let frames: Vec<Vec<u8>> = (0..len).map(|_| generator.frame(side)).collect();
        now += 1_000_000;
        world.state.now.set(now);
        let judged = judge(world, on_a_stick, side, &frames);
        for (side, outcome) in &judged {
            tally(&mut expected, *side, outcome);
            let (name, count) = outcome.name();
            *seen.entry(name).or_default() += count;
            if matches!(outcome, Outcome::Came(Verdict::Conflict)) {
                *seen.entry("conflict").or_default() += 1;
            }
        }
        let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        session.receive_burst(side.into(), now, &slices);
        let mut got = session.take_output();
        // Answers to queries come when they please.
        let all = got.len();
        got.retain(|(_, frame)| !is_listener_report(frame));
        reports += all - got.len();
        identifications.check_and_clear(&mut got);
        let mut wanted: Vec<(Side, Vec<u8>)> = judged.iter().flat_map(sent).collect();
        // What leaves by one side is in order; only within a burst errors may overtake what is
        // forwarded.
        got.sort_by_key(|(side, _)| side.index());
        wanted.sort_by_key(|(side, _)| side.index());
        if frames.len() > 1 {
            got.sort_by(|a, b| (a.0.index(), &a.1).cmp(&(b.0.index(), &b.1)));
            wanted.sort_by(|a, b| (a.0.index(), &a.1).cmp(&(b.0.index(), &b.1)));
        }
        let counted = Side::BOTH.map(|side| Tally::of(&session.totals(side)));
        if got != wanted || counted != expected {
            explain(world, on_a_stick, side, &frames);
            panic!(
                "seed {seed}: a burst differs, though each of its frames alone does not\n\
                 expected {wanted:02x?}\n     got {got:02x?}\n\
                 expected {expected:?}\n     got {counted:?}"
            );
        }
        thrown += frames.len();
    }
    balanced(&session);
    assert!(reports > 0 || count < 10_000, "no router that asked was answered");
}

/// A multicast listener report of either version.
fn is_listener_report(frame: &[u8]) -> bool {
    let start = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    frame[start] >> 4 == 6
        && frame.get(start + 6) == Some(&0)
        && matches!(frame.get(start + 48), Some(131 | 143))
}

/// What became of a frame that came, of one that had waited, or of several at once.
#[derive(Debug, Clone)]
enum Outcome {
    Came(Verdict),
    Released(Verdict),
    GivenUp(&'static str, usize, Option<Vec<u8>>),
}

impl Outcome {
    /// Its name in counters, and how many frames it is about.
    fn name(&self) -> (&'static str, u64) {
        match self {
            Self::Came(verdict) | Self::Released(verdict) => (name(verdict), 1),
            Self::GivenUp(reason, frames, _) => (reason, *frames as u64),
        }
    }
}

/// The model's verdicts, each with the side its frame belongs to.
fn judge(
    world: &World,
    on_a_stick: bool,
    side: Arrived,
    frames: &[Vec<u8>],
) -> Vec<(Arrived, Outcome)> {
    fragments::expire(world);
    let mut judged = Vec::new();
    happened(world, &mut judged);
    for frame in frames {
        let side = if on_a_stick { link::side_of(world, frame) } else { side };
        let verdict = link::receive(world, side, frame);
        waits(world, side, &verdict);
        judged.push((side, Outcome::Came(verdict)));
        happened(world, &mut judged);
    }
    judged
}

/// A fragment that must wait does so from now on.
fn waits(world: &World, side: Arrived, verdict: &Verdict) {
    match verdict {
        Verdict::Waits(flow, packet) => {
            world.state.wait(&world.fragments, side, *flow, packet.clone());
        }
        Verdict::Assembled(_, verdict) => waits(world, side, verdict),
        _ => {}
    }
}

/// What became meanwhile of what had waited.
fn happened(world: &World, judged: &mut Vec<(Arrived, Outcome)>) {
    loop {
        let events = world.state.events.take();
        if events.is_empty() {
            return;
        }
        for event in events {
            match event {
                Event::GivenUp(side, reason, frames, error) => {
                    let error = error.and_then(|(error, station)| {
                        let framed =
                            Verdict::Drop(reason, Some(error)).framed(world, side, station);
                        match framed {
                            Verdict::Drop(_, error) => error,
                            _ => None,
                        }
                    });
                    judged.push((side, Outcome::GivenUp(reason, frames, error)));
                }
                Event::Ready(side, packet) => {
                    let verdict = link::receive_again(world, side, &packet);
                    waits(world, side, &verdict);
                    judged.push((side, Outcome::Released(verdict)));
                }
            }
        }
    }
}

/// What leaves, and where.
fn sent((side, outcome): &(Arrived, Outcome)) -> Vec<(Side, Vec<u8>)> {
    let here = Side::from(*side);
    match outcome {
        Outcome::Came(verdict) | Outcome::Released(verdict) => sent_of(*side, verdict),
        Outcome::GivenUp(_, _, error) => error.iter().map(|error| (here, error.clone())).collect(),
    }
}

fn sent_of(side: Arrived, verdict: &Verdict) -> Vec<(Side, Vec<u8>)> {
    let here = Side::from(side);
    let on = |side: Side, pieces: &[Vec<u8>]| pieces.iter().map(|p| (side, p.clone())).collect();
    match verdict {
        Verdict::Forward(pieces) => on(here.other(), pieces),
        Verdict::Hairpin(pieces) => on(here, pieces),
        Verdict::Answer(frame) | Verdict::Drop(_, Some(frame)) => vec![(here, frame.clone())],
        Verdict::Consume(Some((side, report))) => vec![((*side).into(), report.clone())],
        Verdict::Assembled(_, verdict) => sent_of(side, verdict),
        Verdict::Drop(_, None)
        | Verdict::Consume(None)
        | Verdict::Conflict
        | Verdict::Ignore(_)
        | Verdict::Kept
        | Verdict::Waits(..) => Vec::new(),
    }
}

/// What is counted of a frame's fate: its name where it was received, further pieces where they
/// leave.
fn tally(tallies: &mut [Tally; 2], side: Arrived, outcome: &Outcome) {
    let here = &mut tallies[Side::from(side).index()];
    match outcome {
        Outcome::Came(verdict) => tally_of(tallies, side, verdict),
        Outcome::Released(verdict) => {
            here.sub("held", 1);
            tally_of(tallies, side, verdict);
        }
        Outcome::GivenUp(reason, frames, _) => {
            here.add(reason, *frames as u64);
            here.sub("held", *frames as u64);
        }
    }
}

fn tally_of(tallies: &mut [Tally; 2], side: Arrived, verdict: &Verdict) {
    let here = Side::from(side);
    if let Verdict::Assembled(frames, verdict) = verdict {
        let counted = &mut tallies[here.index()];
        counted.add("absorbed", *frames as u64);
        counted.sub("held", *frames as u64 - 1);
        counted.add("reassembled", 1);
        return tally_of(tallies, side, verdict);
    }
    tallies[here.index()].add(name(verdict), 1);
    let (out, pieces) = match verdict {
        Verdict::Conflict => return tallies[here.index()].add("address-conflicts", 1),
        Verdict::Forward(pieces) => (here.other(), pieces.len()),
        Verdict::Hairpin(pieces) => (here, pieces.len()),
        _ => return,
    };
    tallies[out.index()].add("extra-fragments", pieces as u64 - 1);
}

/// The identifications of the IPv6 fragments that left (F5).
#[derive(Default)]
struct Identifications {
    seen: HashSet<u32>,
}

impl Identifications {
    /// Each packet has an identification that no other had, and its fragments are there in order;
    /// then they are cleared, for the model knows none.
    fn check_and_clear(&mut self, frames: &mut [(Side, Vec<u8>)]) {
        let mut ends = HashMap::new();
        for (_, frame) in frames {
            let Some(place) = identification::place(frame) else { continue };
            let identification = identification::of(frame).unwrap();
            let field = usize::from(bytes::be16(frame, place.start - 2));
            let (offset, more) = (field & !7, field & 1 == 1);
            if offset == 0 {
                assert!(self.seen.insert(identification), "{identification:#x} came before");
            } else {
                assert_eq!(ends.remove(&identification), Some(offset), "{identification:#x}");
            }
            if more {
                ends.insert(identification, offset + frame.len() - place.end);
            }
            frame[place].fill(0);
        }
        assert!(ends.is_empty(), "packets without a last fragment: {ends:x?}");
    }
}

/// A verdict's name in counters.
fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Forward(_) => "forwarded",
        Verdict::Hairpin(_) => "hairpinned",
        Verdict::Answer(_) => "answered",
        Verdict::Consume(_) | Verdict::Conflict => "consumed",
        Verdict::Kept | Verdict::Waits(..) => "held",
        Verdict::Assembled(_, verdict) => name(verdict),
        Verdict::Ignore(reason) | Verdict::Drop(reason, _) => reason,
    }
}

/// Finds the first frame of a burst that comes out differently on its own, and says how.
fn explain(world: &World, on_a_stick: bool, side: Arrived, frames: &[Vec<u8>]) {
    for frame in frames {
        let world = &World {
            path_mtus: RefCell::default(),
            state: fragments::State::default(),
            ..world.clone()
        };
        let judged = judge(world, on_a_stick, side, std::slice::from_ref(frame)).remove(0);
        let mut session = relay::session(world, on_a_stick);
        session.receive(side.into(), 0, frame);
        let mut got = session.take_output();
        Identifications::default().check_and_clear(&mut got);
        let wanted = sent(&judged);
        let mut expected = [Tally::default(), Tally::default()];
        tally(&mut expected, judged.0, &judged.1);
        let counted = Side::BOTH.map(|side| Tally::of(&session.totals(side)));
        assert!(
            got == wanted && counted == expected,
            "on the {side:?} side\n  {frame:02x?}\nthe model says {:?}: {wanted:02x?}\n\
             the relay counted {counted:?} and sent {got:02x?}\nin {world:?}",
            judged.1.name()
        );
    }
}

/// A1 on both interfaces.
fn balanced(session: &Session) {
    let [external, internal] = Side::BOTH.map(|side| session.totals(side));
    for (here, there) in [(&external, &internal), (&internal, &external)] {
        assert_eq!(here.unaccounted(), 0, "A1: {here:?}");
        let sent = there.forwarded
            + here.hairpinned
            + here.answered
            + here.originated
            + here.extra_fragments;
        assert_eq!(here.out_packets, sent, "A1: {here:?}");
    }
}

/// The frames are worth something: they reach every rule that they can.
fn every_fate_was_seen(seen: &BTreeMap<&'static str, u64>) {
    // Rates and next hops are fixed here, and nothing runs out.
    const OTHERWISE: [&str; 4] = ["next-hop-unresolved", "rate-limited", "no-buffer", "tx-full"];
    let names = vnf::telemetry::DropReason::ALL.iter().map(|reason| reason.name());
    let missing: Vec<&str> =
        names.filter(|name| !OTHERWISE.contains(name) && !seen.contains_key(name)).collect();
    assert!(missing.is_empty(), "no frame was dropped as {missing:?}");
    assert!(seen.contains_key("conflict"), "nobody claimed an address of ours");
    assert!(seen["forwarded"] > 250_000 && seen["hairpinned"] > 10_000, "{seen:?}");
}
