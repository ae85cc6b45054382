//! The configurations and the manual that come along are right and complete.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vnf::config;
use vnf::softwire::file;

use crate::load;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_configurations_that_come_along_are_right() {
    let directory = repository().join("configs");
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let config = config::load(&path).map_err(|errors| errors.to_string()).unwrap();
            assert!(!config.rows().is_empty(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

/// Every key, as `configs/lwaftr.toml` has it when "# " is taken away: it loads, and shows each
/// default as it is.
#[test]
fn the_full_configuration_names_every_key_and_its_default() {
    let path = repository().join("configs/lwaftr.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut table = "";
    let mut shown = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']);
        }
        let (is_default, line) = match line.strip_prefix("# ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        if let Some((name, value)) = line.split_once(" = ")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            shown.push((format!("{table}.{name}"), value, is_default));
        }
    }
    let keys = config::all_keys();
    for key in &keys {
        let (_, value, is_default) = shown
            .iter()
            .find(|(path, ..)| *path == key.path())
            .unwrap_or_else(|| panic!("configs/lwaftr.toml lacks {}", key.path()));
        // Where nothing is the default, the file shows an example.
        if *is_default && !key.default.is_empty() && key.path() != "workers.cpus" {
            assert_eq!(*value, key.default, "{}", key.path());
        }
    }
    for (path, ..) in &shown {
        assert!(keys.iter().any(|key| key.path() == *path), "{path} is no key");
    }
    // With every default and example spelled out, it is still a valid configuration.
    let spelled_out: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.contains(" = ") && rest.starts_with(|c: char| c.is_ascii_lowercase()) =>
            {
                rest
            }
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lwaftr.toml");
    fs::write(&path, spelled_out).unwrap();
    fs::copy(repository().join("configs/softwires.csv"), directory.path().join("softwires.csv"))
        .unwrap();
    credentials_and_certificates(directory.path());
    config::load(&path).map_err(|errors| errors.to_string()).unwrap();
}

/// The files that `[api]` names.
fn credentials_and_certificates(directory: &Path) {
    let status = std::process::Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
        .args("-subj /CN=relay -days 2 -keyout api-key.pem -out api-certificate.pem".split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    fs::copy(directory.join("api-certificate.pem"), directory.join("api-client-ca.pem")).unwrap();
    let manual = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let (_, after) = manual.split_once("```\n# name").unwrap();
    let example = after.split("```").next().unwrap();
    fs::write(directory.join("api-credentials"), format!("# name{example}")).unwrap();
}

#[test]
fn the_manual_has_a_row_for_every_key() {
    let manual = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    for key in config::all_keys() {
        let (_, section) = manual
            .split_once(&format!("\n## `[{}]`", key.table))
            .or(manual.split_once(&format!("\n## `[[{}]]`", key.table)))
            .unwrap_or_else(|| panic!("docs/configuration.md lacks [{}]", key.table));
        let section = section.split("\n## ").next().unwrap();
        let default = match (key.required, key.default.as_str()) {
            (true, _) => "required".to_owned(),
            (false, "") => "none".to_owned(),
            (false, default) => format!("`{default}`"),
        };
        let change = if key.restart { "restart" } else { "reload" };
        let row = format!("| `{}` | {} | {default} | {change} |", key.name, key.kind);
        assert!(section.contains(&row), "docs/configuration.md, [{}], lacks\n{row}", key.table);
    }
}

/// The manual's example of a bad configuration gives the messages that the manual shows.
#[test]
fn the_manual_shows_real_messages() {
    let manual = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let block = |after: &str| {
        let (_, rest) = manual.split_once(after).unwrap_or_else(|| panic!("no {after:?}"));
        let (_, rest) = rest.split_once("```").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let table = file::parse(block("## The table file").as_bytes(), None);
    assert_eq!((table.softwires.len(), table.errors), (2, vec![]));
    let toml = block("<!-- relay.toml -->");
    let csv = block("<!-- table.csv -->");
    let text = load(toml.as_bytes(), csv.as_bytes()).map(drop).unwrap_err();
    assert_eq!(text + "\n", block("<!-- messages -->"));
}
