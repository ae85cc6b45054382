//! The counters of RFC 8676 (`traffic-stat`), each a sum of ours. docs/counters.md has the same
//! table, and a test compares.

use serde_json::{Map, Value};

/// One leaf, and the counters whose sum it is; those with a minus in front are taken away.
pub(super) type Sum = (&'static str, &'static [&'static str]);

/// `ext` and `int` are the interfaces external and internal; `*` stands for every reason.
pub(super) const SUMS: &[Sum] = &[
    ("sent-ipv4-packets", &["int.forwarded-packets"]),
    ("sent-ipv4-bytes", &["ext.out-bytes"]),
    ("sent-ipv6-packets", &["ext.forwarded-packets", "int.hairpinned-packets"]),
    ("sent-ipv6-bytes", &["int.out-bytes"]),
    ("rcvd-ipv4-packets", &["ext.in-packets", "-ext.ignored.*.packets"]),
    ("rcvd-ipv4-bytes", &["ext.in-bytes", "-ext.ignored.*.bytes"]),
    ("rcvd-ipv6-packets", &["int.in-packets", "-int.ignored.*.packets"]),
    ("rcvd-ipv6-bytes", &["int.in-bytes", "-int.ignored.*.bytes"]),
    ("dropped-ipv4-packets", &["ext.drops.*.packets"]),
    ("dropped-ipv4-bytes", &["ext.drops.*.bytes"]),
    ("dropped-ipv6-packets", &["int.drops.*.packets"]),
    ("dropped-ipv6-bytes", &["int.drops.*.bytes"]),
    (
        "dropped-ipv4-fragments",
        &["ext.drops.ipv4-fragment-*.packets", "int.drops.ipv4-fragment-*.packets"],
    ),
    (
        "dropped-ipv4-fragment-bytes",
        &["ext.drops.ipv4-fragment-*.bytes", "int.drops.ipv4-fragment-*.bytes"],
    ),
    ("ipv6-fragments-reassembled", &["int.absorbed-packets"]),
    ("ipv6-fragments-bytes-reassembled", &["int.absorbed-bytes"]),
    ("out-icmpv4-error-packets", &["ext.icmpv4-error-packets", "int.icmpv4-error-packets"]),
    ("out-icmpv4-error-bytes", &["ext.icmpv4-error-bytes", "int.icmpv4-error-bytes"]),
    ("out-icmpv6-error-packets", &["int.icmpv6-error-packets"]),
    ("out-icmpv6-error-bytes", &["int.icmpv6-error-bytes"]),
    (
        "dropped-icmpv4-packets",
        &["ext.drops.icmp-not-allowed.packets", "ext.drops.rate-limited.packets"],
    ),
    ("dropped-icmpv4-bytes", &["ext.drops.icmp-not-allowed.bytes", "ext.drops.rate-limited.bytes"]),
    ("hairpin-ipv4-packets", &["int.hairpinned-packets"]),
    ("hairpin-ipv4-bytes", &["int.hairpinned-bytes"]),
];

/// The leaves, from the JSON of `lwaftr stats`. 64-bit numbers are strings (RFC 7951).
pub(super) fn traffic_stat(stats: &Value, started: &str) -> Value {
    let mut leaves = Map::new();
    leaves.insert("discontinuity-time".to_owned(), started.into());
    for (leaf, terms) in SUMS {
        let sum = terms.iter().fold(0_u64, |sum, term| match term.strip_prefix('-') {
            Some(term) => sum.saturating_sub(read(stats, term)),
            None => sum + read(stats, term),
        });
        leaves.insert((*leaf).to_owned(), sum.to_string().into());
    }
    leaves.insert("active-softwire-num".to_owned(), stats["softwires"].clone());
    leaves.into()
}

/// One of our counters, or the sum of those that a `*` stands for.
fn read(stats: &Value, path: &str) -> u64 {
    let mut steps = path.split('.');
    let side = match steps.next() {
        Some("ext") => "external",
        _ => "internal",
    };
    let values = steps.fold(vec![&stats["interfaces"][side]], |values, step| {
        let Some((before, after)) = step.split_once('*') else {
            return values.into_iter().map(|value| &value[step]).collect();
        };
        let fits = |name: &str| name.starts_with(before) && name.ends_with(after);
        let members = values.into_iter().filter_map(Value::as_object).flatten();
        members.filter(|(name, _)| fits(name)).map(|(_, value)| value).collect()
    });
    values.into_iter().filter_map(Value::as_u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_documentation_has_the_sum_of_every_leaf() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (leaf, terms) in SUMS {
            let mut sum = String::new();
            for term in *terms {
                let (sign, term) = match term.strip_prefix('-') {
                    Some(term) => (" - ", term),
                    None => (" + ", *term),
                };
                sum += &format!("{}`{term}`", if sum.is_empty() { "" } else { sign });
            }
            let line = format!("| `{leaf}` | {sum} |");
            assert!(text.contains(&line), "docs/counters.md lacks the line\n{line}");
        }
        // What is served and what is documented as not there yet make up the model.
        for leaf in super::super::schema::traffic_stat_leaves() {
            assert!(text.contains(&format!("| `{leaf}` |")), "docs/counters.md lacks {leaf}");
        }
    }

    #[test]
    fn sums_of_our_counters() {
        let stats = json!({"softwires": 5, "interfaces": {
            "external": {
                "in-packets": 10, "forwarded-packets": 4, "absorbed-packets": 0,
                "drops": {
                    "ipv4-fragment-tiny": {"packets": 1, "bytes": 60},
                    "ipv4-fragment-limit": {"packets": 2, "bytes": 100},
                    "rate-limited": {"packets": 1, "bytes": 90},
                },
                "ignored": {"arp": {"packets": 2, "bytes": 120}},
            },
            "internal": {"hairpinned-packets": 3, "drops": {"ipv4-fragment-tiny": {"packets": 5}}},
        }});
        let leaves = traffic_stat(&stats, "2026-01-01T00:00:00Z");
        for (leaf, value) in [
            ("sent-ipv6-packets", "7"),
            ("rcvd-ipv4-packets", "8"),
            ("dropped-ipv4-packets", "4"),
            ("dropped-ipv4-bytes", "250"),
            ("dropped-ipv4-fragments", "8"),
            ("dropped-icmpv4-bytes", "90"),
            ("sent-ipv4-bytes", "0"),
        ] {
            assert_eq!(leaves[leaf], value, "{leaf}");
        }
        assert_eq!(leaves["active-softwire-num"], 5);
        assert_eq!(leaves["discontinuity-time"], "2026-01-01T00:00:00Z");
    }
}
