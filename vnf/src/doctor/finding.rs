//! What a check found.

use std::fmt;

use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, slower or less surely than it could.
    Warning,
    /// It does not work like this.
    Problem,
    /// The question does not arise here.
    NotApplicable,
}

impl Verdict {
    /// What it is called in JSON and in the text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::NotApplicable => "not-applicable",
        }
    }
}

/// What was seen, how bad it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, seen: seen.into(), advice: String::new() }
    }

    pub(super) fn not_applicable(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotApplicable, seen: seen.into(), advice: String::new() }
    }

    pub(super) fn warning(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, seen: seen.into(), advice: advice.into() }
    }

    pub(super) fn problem(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, seen: seen.into(), advice: advice.into() }
    }
}

/// All that was found, in the order of the checks, with their names.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Name of the check, finding.
    pub findings: Vec<(&'static str, Finding)>,
}

impl Report {
    /// How many findings have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|(_, finding)| finding.verdict == verdict).count()
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|(check, Finding { verdict, seen, advice })| {
                let advice = if advice.is_empty() { Value::Null } else { advice.as_str().into() };
                json!({"check": check, "verdict": verdict.name(), "seen": seen, "advice": advice})
            })
            .collect();
        json!({
            "findings": findings,
            "ok": self.count(Verdict::Ok),
            "warnings": self.count(Verdict::Warning),
            "problems": self.count(Verdict::Problem),
            "not-applicable": self.count(Verdict::NotApplicable),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, Finding { verdict, seen, advice }) in &self.findings {
            let verdict = match verdict {
                Verdict::NotApplicable => "-",
                verdict => verdict.name(),
            };
            writeln!(f, "{verdict:<9}{check:<19}{seen}")?;
            if !advice.is_empty() {
                writeln!(f, "{:28}-> {advice}", "")?;
            }
        }
        let of = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        writeln!(
            f,
            "\n{}, {}",
            of(self.count(Verdict::Problem), "problem"),
            of(self.count(Verdict::Warning), "warning")
        )
    }
}
