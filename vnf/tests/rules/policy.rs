//! Q2: choices are keys.

use std::path::Path;

use vnf::config;

/// Every key of `[policy]` can be reloaded, and stands with its default in the manual.
#[test]
fn q2_every_choice_is_a_key_that_is_documented_and_can_be_reloaded() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, section) = manual.split_once("\n## `[policy]`").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let keys = config::all_keys();
    let policy: Vec<_> = keys.iter().filter(|key| key.table == "policy").collect();
    assert!(policy.len() >= 20, "{} keys", policy.len());
    for key in &policy {
        assert!(!key.restart, "policy.{} needs a restart", key.name);
        assert!(!key.required, "policy.{} has no default", key.name);
        let row = section.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
        let row = row.unwrap_or_else(|| panic!("policy.{} is not documented", key.name));
        let columns: Vec<&str> = row.split(" | ").map(|column| column.trim_matches('`')).collect();
        let default = if key.default.is_empty() { "none" } else { &key.default };
        assert_eq!(columns[2], default, "policy.{}", key.name);
        assert_eq!(columns[3], "reload", "policy.{}", key.name);
    }
    // And the manual knows no others.
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), policy.len());
}

/// The defaults that docs/behaviour.md states.
#[test]
fn q2_the_defaults_are_those_of_the_rules() {
    let keys = config::all_keys();
    let default = |name: &str| {
        let key = keys.iter().find(|key| key.table == "policy" && key.name == name);
        key.unwrap_or_else(|| panic!("no key policy.{name}")).default.clone()
    };
    for (name, stated) in [
        ("hop-limit", "64"),
        ("dscp", "\"copy\""),
        ("ecn", "\"normal\""),
        ("flow-label", "\"hash\""),
        ("decap-dscp", "\"keep\""),
        ("decap-ttl", "\"decrement\""),
        ("hairpinning", "\"local\""),
        ("fragment", "\"outer\""),
        ("too-big-df", "\"drop\""),
        ("mss-clamp", "\"auto\""),
        ("generate-icmpv4-errors", "true"),
        ("generate-icmpv6-errors", "true"),
        ("allow-incoming-icmpv4", "true"),
        ("icmpv4-rate", "0"),
        ("allow-source-route", "false"),
        ("too-big-rate", "10000"),
        ("time-exceeded-rate", "1000"),
        ("icmpv4-error-rate", "100"),
        ("icmpv6-rate", "100"),
        ("echo-rate", "1000"),
        ("per-destination-rate", "10"),
    ] {
        assert_eq!(default(name), stated, "policy.{name}");
    }
}
