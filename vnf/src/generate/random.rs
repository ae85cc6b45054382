//! Pseudo-random numbers that are the same everywhere and for ever.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `limit` - 1; `limit` is not 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        // The bias is below 2^-32: nothing here could notice it.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u32
    }
}

fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A fixed shuffle of all 32-bit numbers: a Feistel network of four rounds.
pub(super) fn shuffled(number: u32) -> u32 {
    let (mut left, mut right) = ((number >> 16) as u16, number as u16);
    for round in 0..4_u64 {
        let scrambled = mix(round << 16 | u64::from(right)) as u16;
        (left, right) = (right, left ^ scrambled);
    }
    u32::from(left) << 16 | u32::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut random = Random::new(1);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[random.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn shuffling_repeats_nothing() {
        let mut seen: Vec<u32> = (0..1 << 18).map(shuffled).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1 << 18);
        // And it spreads: every /8 is met.
        let mut highs: Vec<u32> = seen.iter().map(|number| number >> 24).collect();
        highs.dedup();
        assert_eq!(highs.len(), 256);
    }
}
