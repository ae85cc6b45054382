//! The documents agree with the repository: rule numbers cited anywhere stand in
//! docs/behaviour.md, rules said to be there are cited by tests, and links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files at and below these places that may cite a rule; this one has only examples.
fn sources(places: &[&str]) -> Vec<PathBuf> {
    const KINDS: [&str; 5] = ["rs", "py", "md", "toml", "sh"];
    let mut waiting: Vec<_> = places.iter().map(|place| repository().join(place)).collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|is| KINDS.iter().any(|kind| is == *kind))
            && !path.ends_with("tests/docs.rs")
        {
            files.push(path);
        }
    }
    files
}

/// The rule numbers in a text: one of the letters, one or two digits, and no word around them.
fn numbers(text: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_.:%".contains(c);
    text.split(|c: char| !is_word(c))
        .map(|word| word.trim_matches(['.', ':']))
        .filter(|word| {
            let mut letters = word.chars();
            letters.next().is_some_and(|first| "EPDFIMNQA".contains(first))
                && matches!(word.len(), 2..=3)
                && letters.all(|c| c.is_ascii_digit())
        })
        .collect()
}

/// What a file says to people: of Rust the comments, of other files everything.
fn prose(path: &Path) -> String {
    let text = read(path);
    if path.extension().is_none_or(|extension| extension != "rs") {
        return text;
    }
    let comments = text.lines().filter_map(|line| line.split_once("//"));
    comments.map(|(_, said)| said).collect::<Vec<_>>().join("\n")
}

/// The rules of docs/behaviour.md and what each says of its status.
fn rules() -> BTreeMap<String, String> {
    let text = read(&repository().join("docs/behaviour.md"));
    let mut lines = text.lines();
    let mut rules = BTreeMap::new();
    while let Some(line) = lines.next() {
        let Some((number, _)) = line.strip_prefix("### ").and_then(|rest| rest.split_once(". "))
        else {
            continue;
        };
        let status = lines.find(|line| !line.is_empty()).unwrap_or_default();
        let status = status.strip_prefix("Status: ");
        let status = status.unwrap_or_else(|| panic!("{number} says nothing of its status"));
        let known = ["there", "not yet"].contains(&status) || status.starts_with("in part: ");
        assert!(known, "{number}: status {status:?} is none of there, in part: ..., not yet");
        let first = rules.insert(number.to_owned(), status.to_owned());
        assert!(first.is_none(), "{number} has two headings");
    }
    rules
}

#[test]
fn numbers_are_told_from_what_looks_like_them() {
    let found = numbers("(E8, D5) I1-I6, `E10`: A3. | P1 | not E810, p99, 0xE1, IPv6, F1x, B4");
    assert_eq!(found, BTreeSet::from(["A3", "D5", "E10", "E8", "I1", "I6", "P1"]));
}

#[test]
fn every_rule_that_is_cited_is_stated() {
    let rules = rules();
    assert!(rules.len() >= 40, "only {} rules: are they still headings?", rules.len());
    let mut wrong = Vec::new();
    for path in sources(&["vnf/src", "vnf/tests", "docs", "configs", "README.md"]) {
        for number in numbers(&prose(&path)) {
            if !rules.contains_key(number) {
                wrong.push(format!("{}: {number}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in docs/behaviour.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_that_is_there_is_cited_by_a_test() {
    let texts: Vec<_> = sources(&["vnf/tests"]).iter().map(|path| prose(path)).collect();
    let cited: BTreeSet<_> = texts.iter().flat_map(|text| numbers(text)).collect();
    let rules = rules();
    let there = rules.iter().filter(|(_, status)| *status == "there");
    let untested: Vec<_> = there.filter(|(rule, _)| !cited.contains(rule.as_str())).collect();
    assert!(untested.is_empty(), "no file in vnf/tests cites {untested:?}");
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in sources(&["README.md", "docs"]) {
        let text = read(&path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let leads = to.exists()
                && (place.is_empty()
                    || read(&to).lines().any(|line| {
                        line.starts_with('#') && anchor(line.trim_start_matches('#')) == place
                    }));
            if !leads {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links to nowhere:\n{}", wrong.join("\n"));
}
