//! Token buckets for what the relay sends of its own accord (I6).
//!
//! A bucket holds one second's worth of tokens. It is kept as the time at which it would be full
//! again, so that nothing has to be refilled: a packet moves that time on by one interval, and is
//! allowed while it is at most a second ahead. Rates are per process; each worker has its share.

use super::settings::Rates;

const SECOND: u64 = 1_000_000_000;

/// Buckets of destinations, by hash.
const DESTINATIONS: usize = 1024;

/// What is limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Packet too big.
    TooBig,
    /// Time exceeded.
    TimeExceeded,
    /// Other ICMPv4 errors.
    Icmpv4Error,
    /// ICMPv6 errors.
    Icmpv6,
    /// Echo replies.
    Echo,
    /// ICMPv4 from the Internet (I1).
    IncomingIcmpv4,
}

/// The time at which a bucket is full, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(u64);

/// One worker's buckets.
#[derive(Debug)]
pub(super) struct Limiter {
    workers: u64,
    /// Keeps others from choosing destinations that share a bucket.
    seed: u64,
    classes: [Bucket; 6],
    destinations: Box<[Bucket; DESTINATIONS]>,
}

impl Bucket {
    fn allows(self, now: u64, interval: u64) -> bool {
        self.0.max(now) + interval <= now + SECOND
    }

    fn take(&mut self, now: u64, interval: u64) {
        self.0 = self.0.max(now) + interval;
    }
}

impl Limiter {
    /// Full buckets for one of `workers`.
    pub(super) fn new(workers: usize, seed: u64) -> Self {
        Self {
            workers: workers.max(1) as u64,
            seed,
            classes: [Bucket::default(); 6],
            destinations: Box::new([Bucket::default(); DESTINATIONS]),
        }
    }

    /// May a packet of this class be sent now? Takes a token if so.
    pub(super) fn allow(&mut self, class: Class, rate: u32, now: u64) -> bool {
        let Some(interval) = self.interval(rate) else { return false };
        let bucket = &mut self.classes[class as usize];
        let allowed = bucket.allows(now, interval);
        if allowed {
            bucket.take(now, interval);
        }
        allowed
    }

    /// May an error of this class be sent to this destination now? Takes tokens of both if so.
    pub(super) fn allow_error(
        &mut self,
        class: Class,
        rates: &Rates,
        destination: u128,
        now: u64,
    ) -> bool {
        let rate = match class {
            Class::TooBig => rates.too_big,
            Class::TimeExceeded => rates.time_exceeded,
            Class::Icmpv4Error | Class::IncomingIcmpv4 => rates.icmpv4_error,
            Class::Icmpv6 => rates.icmpv6,
            Class::Echo => rates.echo,
        };
        let Some(interval) = self.interval(rates.per_destination) else { return false };
        let bucket = hash(destination, self.seed) as usize % DESTINATIONS;
        if !self.destinations[bucket].allows(now, interval) || !self.allow(class, rate, now) {
            return false;
        }
        self.destinations[bucket].take(now, interval);
        true
    }

    /// Nanoseconds between packets; `None` for a rate of 0. At least one packet a second gets
    /// through for each worker.
    fn interval(&self, rate: u32) -> Option<u64> {
        (rate > 0).then(|| (SECOND * self.workers / u64::from(rate)).min(SECOND))
    }
}

fn hash(destination: u128, seed: u64) -> u64 {
    let high = ((destination >> 64) as u64 ^ seed).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let low = destination as u64 ^ high ^ high >> 32;
    (low ^ seed.rotate_left(32)).wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_the_rate_and_no_more() {
        let mut limiter = Limiter::new(1, 0);
        let allowed = |limiter: &mut Limiter, now| {
            (0..1000).filter(|_| limiter.allow(Class::Echo, 100, now)).count()
        };
        assert_eq!(allowed(&mut limiter, 5), 100);
        assert_eq!(allowed(&mut limiter, 5 + SECOND / 2), 50);
        assert_eq!(allowed(&mut limiter, 5 + 10 * SECOND), 100);
        assert!(!limiter.allow(Class::Icmpv6, 0, 5));
    }

    #[test]
    fn workers_share_the_rate() {
        let mut limiter = Limiter::new(4, 0);
        assert_eq!((0..1000).filter(|_| limiter.allow(Class::Echo, 100, 0)).count(), 25);
    }

    #[test]
    fn one_destination_cannot_use_up_everybodys_tokens() {
        let mut limiter = Limiter::new(1, 0);
        let rates = Rates::default();
        let mut to = |destination| {
            (0..1000)
                .filter(|_| limiter.allow_error(Class::Icmpv4Error, &rates, destination, 0))
                .count()
        };
        assert_eq!(to(1), 10);
        assert_eq!(to(2), 10);
        assert_eq!((3..1000).map(to).sum::<usize>(), 80);
    }
}
