//! What repeats itself is counted, not printed: the same words from one place of the program, and
//! too many different ones.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};

use super::format::Line;

/// For so long repetitions are counted before they are summed up.
const WINDOW: Duration = Duration::from_secs(10);

/// So many different lines of one place pass in that time: a bad table has fifty errors.
const DIFFERENT: u32 = 100;

/// So many places and texts are remembered; beyond, everything passes.
const REMEMBERED: usize = 4_096;

/// Counts what was not printed.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    /// The same words again.
    same: HashMap<(usize, String), Window>,
    /// Anything from one place.
    places: HashMap<usize, Window>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    seen: u32,
    left_out: u32,
    last: Line,
}

impl Window {
    fn begin(line: &Line, now: Instant) -> Self {
        Self { since: now, seen: 0, left_out: 0, last: line.clone() }
    }

    /// Counts a line; says whether it is one of the first.
    fn admit(&mut self, line: &Line, first: u32) -> bool {
        self.seen = self.seen.saturating_add(1);
        let passes = self.seen <= first;
        if !passes {
            self.left_out = self.left_out.saturating_add(1);
            self.last.clone_from(line);
        }
        passes
    }
}

impl Limiter {
    /// Says whether to print a line; the others are summed up later.
    pub(super) fn admit(&mut self, line: &Line, from: &Metadata<'_>, now: Instant) -> bool {
        // Where it stands in the program, which nothing else has.
        let place = std::ptr::from_ref(from.fields()).addr();
        self.admit_from(line, place, now)
    }

    fn admit_from(&mut self, line: &Line, place: usize, now: Instant) -> bool {
        if self.same.len() >= REMEMBERED {
            return true;
        }
        let same = self.same.entry((place, line.message.clone()));
        if !same.or_insert_with(|| Window::begin(line, now)).admit(line, 1) {
            return false;
        }
        let all = self.places.entry(place).or_insert_with(|| Window::begin(line, now));
        all.admit(line, DIFFERENT)
    }

    /// What was left out in the time that has passed, as lines to be printed.
    pub(super) fn sums(&mut self, now: Instant) -> Vec<Line> {
        let is_over = |window: &Window| now.duration_since(window.since) >= WINDOW;
        let mut sums = Vec::new();
        self.same.retain(|_, window| {
            let over = is_over(window);
            if over && window.left_out > 0 {
                sums.push(sum(window, "again"));
            }
            !over
        });
        self.places.retain(|_, window| {
            let over = is_over(window);
            if over && window.left_out > 0 {
                sums.push(sum(window, "more like this"));
            }
            !over
        });
        sums.sort_by_key(|line| line.time);
        sums
    }
}

fn sum(window: &Window, how: &str) -> Line {
    let Line { message, .. } = &window.last;
    let message = format!("{message} [{} {how} in {} s]", window.left_out, WINDOW.as_secs());
    Line { message, level: window.last.level.min(Level::INFO), ..window.last.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line {
        Line {
            time: "2026-11-27T12:00:00Z".parse().unwrap(),
            level: Level::WARN,
            target: "vnf",
            message: message.to_owned(),
            fields: Vec::new(),
        }
    }

    #[test]
    fn repetitions_are_summed_up() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let printed = (0..50).filter(|_| limiter.admit_from(&line("oh"), 1, start)).count();
        assert_eq!(printed, 1);
        assert!(limiter.admit_from(&line("oh"), 2, start), "another place may say the same");
        assert!(limiter.sums(start + WINDOW / 2).is_empty());
        let sums = limiter.sums(start + WINDOW);
        assert_eq!(sums.len(), 1);
        assert_eq!(
            (sums[0].message.as_str(), sums[0].level),
            ("oh [49 again in 10 s]", Level::WARN)
        );
        assert!(limiter.admit_from(&line("oh"), 1, start + WINDOW), "and it may be said again");
    }

    #[test]
    fn a_flood_of_different_lines_from_one_place_is_cut() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let passes = |number: &u32| limiter.admit_from(&line(&number.to_string()), 1, start);
        assert_eq!((0..1_000).filter(passes).count(), 100);
        let sums = limiter.sums(start + WINDOW);
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[0].message, "999 [900 more like this in 10 s]");
    }
}
