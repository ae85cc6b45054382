//! Two threads that ask the instance again and again: one for counters and latency, one for the
//! busiest softwires, whose answer takes as long as the measurement.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Failure, Target};
use crate::control::protocol::Request;
use crate::control::top::{Busy, TopOptions};

/// Softwires that are asked for.
const BUSIEST: usize = 20;

/// What came of a question.
#[derive(Debug)]
pub(super) enum Answer {
    /// Everything there is to count, and when it was.
    Reading(Box<Reading>),
    /// The busiest softwires, as `softwire-top` answers.
    Softwires(Value),
    /// Why these are not known.
    NoSoftwires(String),
    /// The instance does not answer, in these words.
    Gone(String),
}

/// Counters and latency at one moment.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) status: Value,
    pub(super) stats: Value,
    /// With every recorded value.
    pub(super) latency: Value,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) answers: Receiver<Answer>,
}

impl Source {
    pub(super) fn start(target: Target, interval: Duration) -> Self {
        let (send, answers) = channel();
        let (for_softwires, send_softwires) = (target.clone(), send.clone());
        thread::spawn(move || ask_for_readings(&target, interval, &send));
        thread::spawn(move || ask_for_softwires(&for_softwires, interval, &send_softwires));
        Self { answers }
    }
}

/// Asks until nobody listens any more; connects anew when the instance is gone.
fn ask_for_readings(target: &Target, interval: Duration, send: &Sender<Answer>) {
    let mut client = None;
    let mut next = Instant::now();
    loop {
        let answer = (|| {
            let mut connected = match client.take() {
                Some(client) => client,
                None => target.connect()?,
            };
            let status = connected.ask(Request::Status)?;
            let latency = connected.ask(Request::Latency { full: true })?;
            let stats = connected.ask(Request::Stats)?;
            client = Some(connected);
            Ok::<_, Failure>(Reading { at: Instant::now(), status, stats, latency })
        })();
        let answer = match answer {
            Ok(reading) => Answer::Reading(Box::new(reading)),
            Err(failure) => Answer::Gone(failure.to_string()),
        };
        if send.send(answer).is_err() {
            return;
        }
        next = (next + interval).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn ask_for_softwires(target: &Target, interval: Duration, send: &Sender<Answer>) {
    let interval_ms = interval.as_millis() as u64;
    let options = TopOptions { count: BUSIEST, interval_ms, by: Busy::Bits };
    let mut client = None;
    loop {
        let answer = (|| {
            let mut connected = match client.take() {
                Some(client) => client,
                None => target.connect()?,
            };
            let answer = connected.ask(Request::SoftwireTop(options))?;
            client = Some(connected);
            Ok::<_, Failure>(answer)
        })();
        let (answer, pause) = match answer {
            Ok(softwires) => (Answer::Softwires(softwires), Duration::ZERO),
            Err(failure) => (Answer::NoSoftwires(failure.to_string()), interval),
        };
        if send.send(answer).is_err() {
            return;
        }
        thread::sleep(pause);
    }
}
