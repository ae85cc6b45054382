//! Which sequence numbers have come back.

/// One bit for each frame, as many as needed: 600 million frames take 75 MB.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    words: Vec<u64>,
    count: u64,
}

impl Seen {
    /// Notes a number. False when it was noted before.
    #[inline]
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// How many different numbers were noted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many of `from..to` were not noted.
    pub(crate) fn missing(&self, from: u64, to: u64) -> u64 {
        let noted = |at: u64| {
            let word = self.words.get((at / 64) as usize).copied().unwrap_or(0);
            u64::from(word >> (at % 64) & 1 == 0)
        };
        let (first, last) = (from.next_multiple_of(64).min(to), (to & !63).max(from));
        if first >= last {
            return (from..to).map(noted).sum();
        }
        let ends: u64 = (from..first).chain(last..to).map(noted).sum();
        let words = (first / 64) as usize..(last / 64) as usize;
        ends + words
            .map(|at| u64::from(self.words.get(at).copied().unwrap_or(0).count_zeros()))
            .sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_missing_in_any_range() {
        let mut seen = Seen::default();
        let holes = [0, 5, 63, 64, 128, 129, 700];
        for number in (0..800).filter(|number| !holes.contains(number)) {
            assert!(seen.insert(number));
        }
        assert!(!seen.insert(1));
        assert_eq!(seen.count(), 800 - 7);
        for (from, to) in
            [(0, 800), (0, 1), (1, 5), (5, 6), (60, 130), (64, 128), (128, 900), (3, 3)]
        {
            let naive = (from..to).filter(|n| holes.contains(n) || *n >= 800).count() as u64;
            assert_eq!(seen.missing(from, to), naive, "{from}..{to}");
        }
    }
}
