//! What comes along for Prometheus and Grafana, as far as it can be judged without a relay.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("configs").join(file)
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, said) = (words(&output.stdout), words(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{printed}\n{said}");
    printed
}

/// The expressions of the dashboard, each with the title of its panel.
pub(crate) fn expressions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(shipped("grafana/lwaftr.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap().to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((title.clone(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        let title = annotation["name"].as_str().unwrap().to_owned();
        found.push((title, annotation["expr"].as_str().unwrap().to_owned()));
    }
    found
}

#[test]
fn the_alert_rules_are_right_and_do_what_they_should() {
    let promtool = || Command::new("promtool");
    let directory = shipped("prometheus");
    succeed(promtool().args(["check", "rules", "lwaftr-alerts.yml"]).current_dir(&directory));
    succeed(promtool().args(["test", "rules", "lwaftr-alerts-test.yml"]).current_dir(&directory));
    succeed(promtool().args(["check", "config", "prometheus.yml"]).current_dir(&directory));
}

/// Whatever an expression or a rule names is a metric of docs/metrics.md, which a test of the
/// library compares with what there is.
#[test]
fn the_dashboard_and_the_rules_name_metrics_that_exist() {
    let manual = shipped("../docs/metrics.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let rules = std::fs::read_to_string(shipped("prometheus/lwaftr-alerts.yml")).unwrap();
    let rules: Vec<_> = rules
        .lines()
        .filter(|line| !line.contains("summary:") && !line.contains("description:"))
        .map(|line| ("rules".to_owned(), line.to_owned()))
        .collect();
    let expressions = expressions();
    assert!(expressions.len() > 50);
    let mut names = 0;
    for (title, expression) in expressions.iter().chain(&rules) {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("lwaftr_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            let base = name.strip_suffix("_sum").or(name.strip_suffix("_count")).unwrap_or(name);
            let known = |name: &str| manual.contains(&format!("| `{name}` |"));
            assert!(known(name) || known(base), "{title}: {word} in {expression}");
            names += 1;
        }
    }
    assert!(names > 60, "{names}");
}
