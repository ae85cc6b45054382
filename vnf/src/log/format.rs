//! What a line of the log looks like.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Time, level and text, for people.
    Text {
        /// On a terminal.
        colours: bool,
    },
    /// `<3>text`: systemd's journal takes the priority from the prefix and knows the time itself.
    Journal,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Text, as whoever reads standard error wants it.
    #[must_use]
    pub fn usual() -> Self {
        // systemd sets this when it reads standard error.
        if std::env::var_os("JOURNAL_STREAM").is_some() {
            Self::Journal
        } else {
            Self::Text { colours: std::io::stderr().is_terminal() }
        }
    }

    /// A line as it is written, newline included.
    pub(super) fn text(self, line: &Line) -> String {
        let Line { time, level, target, message, fields } = line;
        let mut text = String::new();
        // Writing to a String cannot fail.
        _ = match self {
            Self::Text { colours } => {
                let (on, off) = if colours { (colour(*level), "\x1b[0m") } else { ("", "") };
                write!(text, "{time:.6} {on}{level:>5}{off} {message}")
            }
            Self::Journal => write!(text, "<{}>{message}", priority(*level)),
            Self::Json => {
                let mut object = Map::new();
                object.insert("time".to_owned(), format!("{time:.6}").into());
                object.insert("level".to_owned(), level.to_string().into());
                object.insert("target".to_owned(), (*target).into());
                object.insert("message".to_owned(), message.clone().into());
                for (name, value) in fields {
                    object.insert((*name).to_owned(), value.clone().into());
                }
                return Value::Object(object).to_string() + "\n";
            }
        };
        for (name, value) in fields {
            _ = write!(text, " {name}={value}");
        }
        text + "\n"
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Something to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            time: Timestamp::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_every_format() {
        let line = Line {
            time: "2026-11-27T12:00:00.5Z".parse().unwrap(),
            level: Level::WARN,
            target: "vnf::control",
            message: "a \"b\"\nc".to_owned(),
            fields: vec![("port", "1".to_owned())],
        };
        let texts = [Format::Text { colours: false }, Format::Journal, Format::Json]
            .map(|format| format.text(&line));
        assert_eq!(texts[0], "2026-11-27T12:00:00.500000Z  WARN a \"b\"\nc port=1\n");
        assert_eq!(texts[1], "<4>a \"b\"\nc port=1\n");
        let json: Value = serde_json::from_str(&texts[2]).unwrap();
        assert_eq!(texts[2].matches('\n').count(), 1);
        assert_eq!((&json["message"], &json["level"]), (&"a \"b\"\nc".into(), &"WARN".into()));
        assert_eq!(
            (&json["port"], &json["time"]),
            (&"1".into(), &"2026-11-27T12:00:00.500000Z".into())
        );
    }
}
