//! "Did you mean": the known name nearest to a wrong one.

/// The known name that a slip of the keyboard could have turned into `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.replace('_', "-").to_lowercase();
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: how many characters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    // A name this long is no slip; do not spend time on it.
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["next-hop", "next-hop-mac", "mtu", "hairpinning"];
        let nearest = |name| nearest(name, known.into_iter());
        assert_eq!(nearest("next_hop"), Some("next-hop"));
        assert_eq!(nearest("nexthopmac"), Some("next-hop-mac"));
        assert_eq!(nearest("MTU"), Some("mtu"));
        assert_eq!(nearest("hairpining"), Some("hairpinning"));
        assert_eq!(nearest("gateway"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
