//! Latency and packet delay variation (RFC 8219 sections 7.2 and 7.3).

use super::{Session, throughput};
use crate::delay::{Delay, Spread, curve};
use crate::direction::Directions;
use crate::failure::Failure;
use crate::mix::Mix;
use crate::rate::Rate;
use crate::receiver::histogram;
use crate::report::Latency;
use crate::trial::Plan;

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// At this rate, or at the throughput.
    pub(crate) rate: Option<Rate>,
    /// Streams of a trial's length.
    pub(crate) streams: usize,
    /// How to find the throughput where it is not known.
    pub(crate) search: throughput::How,
}

/// Measures all frame sizes and directions. Where nothing passes without loss there is no rate to
/// measure at.
pub(crate) fn measure(session: &mut Session, how: How) -> Result<(), Failure> {
    for (directions, mix) in session.cases() {
        let rate = match how.rate {
            Some(rate) => Some(rate.frames(session.line_rate(&mix))),
            None => throughput_of(session, how, directions, &mix)?,
        };
        let Some(rate) = rate else {
            session.progress.say(&format!("{directions} {mix}: no latency: every rate loses"));
            continue;
        };
        let result = one(session, how.streams, directions, &mix, rate)?;
        session.report.latency.push(result);
    }
    Ok(())
}

/// The throughput as it was measured before, or else now.
fn throughput_of(
    session: &mut Session,
    how: How,
    directions: Directions,
    mix: &Mix,
) -> Result<Option<f64>, Failure> {
    let known = |session: &Session| {
        let mut results = session.report.throughput.iter();
        results.find(|r| r.directions == directions && r.frame_size == *mix).map(|r| r.rate)
    };
    if let Some(rate) = known(session) {
        return Ok(rate);
    }
    let result = throughput::one(session, how.search, directions, mix)?;
    let rate = result.rate;
    session.report.throughput.push(result);
    Ok(rate)
}

fn one(
    session: &mut Session,
    streams: usize,
    directions: Directions,
    mix: &Mix,
    rate: f64,
) -> Result<Latency, Failure> {
    let plan = Plan::constant(directions, mix, rate, session.duration);
    let mut delays: Vec<Delay> = Vec::with_capacity(streams);
    let mut all = histogram();
    let mut lost = 0;
    for _ in 0..streams {
        let outcome = session.trial(&plan, rate)?;
        let book = outcome.latency();
        delays.push(Delay::of(&outcome.late_latency(), &book, &outcome.variation()));
        all.add(book).expect("all books have the same bounds");
        lost += outcome.lost();
    }
    let spread = |of: fn(&Delay) -> u64| Spread::of(delays.iter().map(of).collect());
    let differences =
        |which: usize| Spread::of(delays.iter().map(|delay| delay.ipdv[which]).collect());
    Ok(Latency {
        frame_size: mix.clone(),
        directions,
        rate,
        streams,
        typical: spread(|delay| delay.typical),
        worst_case: spread(|delay| delay.worst_case),
        pdv: spread(|delay| delay.pdv),
        ipdv_min: differences(0),
        ipdv_median: differences(1),
        ipdv_max: differences(2),
        min: delays.iter().map(|delay| delay.min).min().unwrap_or(0),
        max: delays.iter().map(|delay| delay.max).max().unwrap_or(0),
        lost,
        curve: curve(&all),
    })
}
