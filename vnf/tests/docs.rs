//! The documents agree with the repository: rule numbers cited anywhere stand in
//! docs/behaviour.md, rules said to be there have tests of their own, docs/rfc-compliance.md names
//! tests that exist or says why there are none, and links lead somewhere.

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

/// The names of the test functions at and below a place.
fn tests_in(place: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in sources(&[place]) {
        let text = read(&path);
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ")
                && is_test
            {
                names.insert(rest.split('(').next().unwrap_or_default().to_owned());
                is_test = false;
            }
        }
    }
    names
}

/// The rule that a test is named after: `e7_no_softwire` for E7.
fn rule_of(test: &str) -> Option<String> {
    let (number, _) = test.split_once('_')?;
    let number = number.to_uppercase();
    numbers(&number).contains(number.as_str()).then_some(number)
}

#[test]
fn every_rule_that_is_there_has_a_test_named_after_it() {
    let rules = rules();
    let tests = tests_in("vnf/tests/rules");
    let named: BTreeSet<String> = tests.iter().filter_map(|test| rule_of(test)).collect();
    let unknown: Vec<_> = named.iter().filter(|&rule| !rules.contains_key(rule)).collect();
    assert!(unknown.is_empty(), "vnf/tests/rules tests {unknown:?}, which nothing states");
    let nameless: Vec<_> = tests.iter().filter(|test| rule_of(test).is_none()).collect();
    assert!(nameless.is_empty(), "vnf/tests/rules: named after no rule: {nameless:?}");
    let there = rules.iter().filter(|(_, status)| *status == "there");
    let untested: Vec<_> = there.filter(|(rule, _)| !named.contains(*rule)).collect();
    assert!(untested.is_empty(), "no test in vnf/tests/rules is named after {untested:?}");
}

/// What stands between back-quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Does this look like the name of a test, rather than that of a key or a drop reason?
fn is_test_name(word: &str) -> bool {
    word.contains('_')
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn rfc_compliance_names_tests_that_exist_or_says_why_there_are_none() {
    const REASONS: [&str; 3] = ["open: ", "not ours: ", "deviates: "];
    let text = read(&repository().join("docs/rfc-compliance.md"));
    let tests: BTreeSet<String> = ["vnf/tests", "vnf/src"].into_iter().flat_map(tests_in).collect();
    let named = || quoted(&text).filter(|word| is_test_name(word));
    let missing: Vec<_> = named().filter(|name| !tests.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "docs/rfc-compliance.md names tests that are not there: {missing:?}"
    );
    assert!(named().count() > 80, "only {} tests", named().count());

    let rules = rules();
    let (_, tables) = text.split_once("\n## RFC 7596").expect("the table of RFC 7596");
    let mut rows = 0;
    for line in tables.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, _, _, rule, test] = cells[..] else { panic!("not five columns: {line}") };
        if ["§", "---"].contains(&section) {
            continue;
        }
        rows += 1;
        let cited = numbers(rule);
        assert!(!cited.is_empty(), "no rule: {line}");
        assert!(cited.iter().all(|number| rules.contains_key(*number)), "unknown rule: {line}");
        let reason = REASONS.iter().find_map(|reason| test.strip_prefix(reason));
        let is_explained = reason.is_some_and(|words| words.split_whitespace().count() >= 3);
        assert!(
            is_explained || quoted(test).any(is_test_name),
            "neither a test nor a reason ({REASONS:?}): {line}"
        );
    }
    assert!(rows > 80, "only {rows} rows");
}

/// Each deviation says which key changes it, if one does.
#[test]
fn rfc_compliance_names_keys_that_exist() {
    let text = read(&repository().join("docs/rfc-compliance.md"));
    let (_, section) = text.split_once("\n## Deviations\n").expect("the deviations");
    let section = section.split("\n## ").next().unwrap();
    let keys: BTreeSet<&str> = vnf::config::all_keys().iter().map(|key| key.name).collect();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut seen = 0;
    for line in rows {
        let key = line.trim_matches('|').rsplit(" | ").next().unwrap().trim();
        let is_right = key == "none" || quoted(key).any(|key| keys.contains(key));
        assert!(is_right, "neither a key nor none: {line}");
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} deviations");
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

/// The commands in a text: lines of its code blocks that begin with `lwaftr`, perhaps behind a
/// prompt, `sudo` or a variable, up to a comment, a pipe or a redirection.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let blocks = text.split("\n```").skip(1).step_by(2);
    for block in blocks {
        let block = block.replace("\\\n", " ");
        for line in block.lines().skip(1) {
            let line = line.trim_start().trim_start_matches(['$', '#']).trim_start();
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            if !line.starts_with("lwaftr ") {
                continue;
            }
            let end = |word: &&str| {
                !word.starts_with(['#', '|', '>', '<', '&', ';']) && !word.starts_with("2>")
            };
            let words = line.split_whitespace().take_while(end);
            found.push(words.map(|word| word.trim_matches(['"', '\'']).to_owned()).collect());
        }
    }
    found
}

#[test]
fn commands_are_told_from_what_surrounds_them() {
    let text = "`lwaftr no`\n```sh\nlwaftr check a.toml   # why\n$ sudo lwaftr stats --json | jq .\n\
                lwaftrx\nlwaftr reload \\\n  --force > x\n```\nlwaftr no\n";
    let found: Vec<String> = commands(text).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["lwaftr check a.toml", "lwaftr stats --json", "lwaftr reload --force"]);
}

/// The program's own parser takes every command that the documents show, and knows every verb that
/// they mention.
#[test]
fn commands_in_documents_are_right() {
    use clap::{CommandFactory as _, Parser as _};
    use vnf::cli::Cli;

    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in sources(&["README.md", "docs", "images"]) {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = read(&path);
        for words in commands(&text) {
            // What needs DPDK is no verb of a program without it.
            if !cfg!(feature = "dpdk") && words.get(1).is_some_and(|verb| verb == "bench") {
                continue;
            }
            seen += 1;
            if let Err(error) = Cli::try_parse_from(&words)
                && error.use_stderr()
            {
                wrong.push(format!("{}: {}: {error}", path.display(), words.join(" ")));
            }
        }
        let inline: String = text.split("\n```").step_by(2).collect();
        for mention in quoted(&inline).filter_map(|code| code.strip_prefix("lwaftr ")) {
            let verb = mention.split([' ', '|']).next().unwrap_or_default();
            let is_verb = verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                && !verb.starts_with('-');
            let is_known = Cli::command().find_subcommand(verb).is_some()
                || (!cfg!(feature = "dpdk") && verb == "bench");
            if is_verb && !is_known {
                wrong.push(format!("{}: `lwaftr {mention}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "commands that do not exist:\n{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} commands");
}
