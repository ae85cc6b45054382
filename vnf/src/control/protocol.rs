//! What travels over the control socket: JSON, one message a line, each with a version.
//!
//! ```text
//!  -> {"version":1,"request":"softwire-lookup","ipv4":"203.0.113.7","port":4711}
//!  <- {"version":1,"ok":{"softwires":[{"ipv4":"203.0.113.7",...}]}}
//!  <- {"version":1,"error":{"kind":"refused","message":"..."}}
//! ```
//!
//! A request has one answer, `ok` or `error`. Long lists come before it in messages of their own:
//! `{"version":1,"part":[...]}`. A connection may carry any number of requests, one after the
//! other.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::capture::CaptureOptions;
use super::error::ControlError;
use super::reload::ReloadOptions;
use super::row::{Key, Row};
use super::top::TopOptions;

/// The version of the messages.
pub const VERSION: u32 = 1;

/// The longest message that the server reads, newline included: some 600 000 softwires.
pub const LONGEST_REQUEST: usize = 64 << 20;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "request",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Request {
    /// Is anybody there? Answered with `{}`.
    Ping,
    /// What instance is this?
    Status,
    /// The counters.
    Stats,
    /// Percentiles of latency.
    Latency {
        /// Every recorded value, too.
        #[serde(default)]
        full: bool,
    },
    /// The latency histograms as an HdrHistogram log: `{"log": "..."}`.
    Hdr,
    /// Read the configuration anew.
    Reload(ReloadOptions),
    /// Add softwires, all or none.
    SoftwireAdd {
        /// The softwires.
        #[serde(default)]
        softwires: Vec<Row>,
        /// Or the text of a table file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        csv: Option<String>,
        /// Softwires that have a port of theirs go, in the same step.
        #[serde(default)]
        replace: bool,
        /// Undo it unless it is confirmed within so many seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirm_within: Option<u32>,
    },
    /// Remove softwires, all or none.
    SoftwireDel {
        /// The softwires.
        #[serde(default)]
        softwires: Vec<Key>,
        /// Or the text of a table file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        csv: Option<String>,
        /// Undo it unless it is confirmed within so many seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirm_within: Option<u32>,
    },
    /// The softwires of an IPv4 address, or the one with this PSID.
    SoftwireShow {
        /// The address.
        ipv4: Ipv4Addr,
        /// The PSID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        psid: Option<u16>,
    },
    /// Who owns this?
    SoftwireLookup(Lookup),
    /// Who owned this?
    SoftwireHistory {
        /// When.
        at: Timestamp,
        /// The address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ipv4: Option<Ipv4Addr>,
        /// The port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// Or the B4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        b4: Option<Ipv6Addr>,
    },
    /// Where do what runs and the files differ?
    ConfigDiff,
    /// Write edits that were made by hand into the files.
    ConfigFold,
    /// Take the last change back.
    ConfigRollback,
    /// Keep the change that waits for it.
    ConfigConfirm,
    /// All softwires, in parts.
    SoftwireList,
    /// What is logged, or what is to be from now on. Answered with `{"filter": "..."}`.
    Log {
        /// A level, or levels of modules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
    },
    /// The last lines of the audit log.
    Audit {
        /// How many at most.
        count: usize,
    },
    /// The busiest softwires.
    SoftwireTop(TopOptions),
    /// The alarms that are raised, and those that are over.
    Alarms,
    /// Can it forward?
    Health,
    /// Be not ready from now on.
    Drain {
        /// Seconds until its sides fall silent, where the policy says so.
        #[serde(default)]
        grace: u32,
    },
    /// Be ready again.
    Undrain,
    /// Everything for Prometheus: `{"text": "..."}`.
    Metrics,
    /// Frames as they come, leave and are dropped, in parts, until it ends or the client does.
    Capture(CaptureOptions),
}

/// What to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Lookup {
    /// Whose address is it, or whose port of it?
    Ipv4 {
        /// The address.
        ipv4: Ipv4Addr,
        /// The port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// Which softwires does it have?
    B4 {
        /// The B4.
        b4: Ipv6Addr,
    },
}

impl FromStr for Lookup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(socket) = text.parse::<SocketAddrV4>() {
            Ok(Self::Ipv4 { ipv4: *socket.ip(), port: Some(socket.port()) })
        } else if let Ok(ipv4) = text.parse() {
            Ok(Self::Ipv4 { ipv4, port: None })
        } else if let Ok(b4) = text.parse() {
            Ok(Self::B4 { b4 })
        } else {
            Err("expected 203.0.113.7:4711, 203.0.113.7 or 2001:db8::1".to_owned())
        }
    }
}

/// One message to the server.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    version: u32,
    #[serde(flatten)]
    request: Request,
}

impl Message {
    /// A request in this version.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { version: VERSION, request }
    }
}

/// Reads a request.
pub fn parse_request(line: &[u8]) -> Result<Request, ControlError> {
    #[derive(Deserialize)]
    struct Version {
        version: Option<u32>,
    }
    let bad = |error: serde_json::Error| ControlError::usage(format!("not a request: {error}"));
    let Version { version } = serde_json::from_slice(line).map_err(bad)?;
    match version {
        Some(VERSION) => {
            serde_json::from_slice(line).map(|Message { request, .. }| request).map_err(bad)
        }
        Some(other) => Err(ControlError::usage(format!(
            "version {other} of the protocol, and this instance speaks version {VERSION}"
        ))),
        None => Err(ControlError::usage(format!(
            "the message has no \"version\": it must be {VERSION}"
        ))),
    }
}

/// A piece of a long answer as a line, newline included: what [`Reply::Part`] reads, made without
/// the detour through a [`Value`], which would take most of the time of a long list.
#[must_use]
pub fn part_line<T: Serialize>(part: &[T]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Part<'a, T> {
        version: u32,
        part: &'a [T],
    }
    let mut line = serde_json::to_vec(&Part { version: VERSION, part }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// One message from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A piece of a long answer; more follows.
    Part(Value),
    /// The answer.
    Ok(Value),
    /// There is none.
    Error(ControlError),
}

impl Reply {
    /// As a line, newline included.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let value = match self {
            Self::Part(value) => json!({"version": VERSION, "part": value}),
            Self::Ok(value) => json!({"version": VERSION, "ok": value}),
            Self::Error(error) => json!({"version": VERSION, "error": error}),
        };
        let mut line = value.to_string().into_bytes();
        line.push(b'\n');
        line
    }

    /// Reads a line.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Line {
            version: u32,
            part: Option<Value>,
            ok: Option<Value>,
            error: Option<ControlError>,
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match line {
            Line { version, .. } if version != VERSION => {
                Err(format!("version {version} of the protocol, expected {VERSION}"))
            }
            Line { part: Some(value), .. } => Ok(Self::Part(value)),
            Line { ok: Some(value), .. } => Ok(Self::Ok(value)),
            Line { error: Some(error), .. } => Ok(Self::Error(error)),
            _ => Err("neither part, ok nor error".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::top::Busy;

    #[test]
    fn requests_round_trip() {
        let row = Row {
            ipv4: "203.0.113.7".parse().unwrap(),
            psid_offset: 6,
            psid_len: 8,
            psid: 52,
            b4_ipv6: "2001:db8::1".parse().unwrap(),
            br_ipv6: None,
            valid_until: None,
        };
        for request in [
            Request::Ping,
            Request::Latency { full: true },
            Request::Reload(ReloadOptions { dry_run: true, ..ReloadOptions::default() }),
            Request::SoftwireAdd {
                softwires: vec![row],
                csv: None,
                replace: true,
                confirm_within: Some(60),
            },
            Request::SoftwireDel {
                softwires: vec![Key { ipv4: row.ipv4, psid: 52 }],
                csv: Some("x".to_owned()),
                confirm_within: None,
            },
            Request::SoftwireLookup(Lookup::Ipv4 { ipv4: row.ipv4, port: Some(4711) }),
            Request::SoftwireLookup(Lookup::B4 { b4: row.b4_ipv6 }),
            Request::SoftwireShow { ipv4: row.ipv4, psid: None },
            Request::Audit { count: 20 },
            Request::Log { filter: Some("debug".to_owned()) },
            Request::SoftwireHistory {
                at: "2026-11-27T12:00:00Z".parse().unwrap(),
                ipv4: Some(row.ipv4),
                port: None,
                b4: None,
            },
            Request::ConfigDiff,
            Request::SoftwireTop(TopOptions { count: 5, interval_ms: 1_000, by: Busy::Packets }),
        ] {
            let line = serde_json::to_string(&Message::new(request.clone())).unwrap();
            assert_eq!(parse_request(line.as_bytes()).unwrap(), request, "{line}");
        }
    }

    #[test]
    fn requests_of_the_documentation_are_understood() {
        let request = parse_request(
            br#"{"version":1,"request":"softwire-lookup","ipv4":"203.0.113.7","port":4711}"#,
        );
        let expected = Lookup::Ipv4 { ipv4: "203.0.113.7".parse().unwrap(), port: Some(4711) };
        assert_eq!(request, Ok(Request::SoftwireLookup(expected)));
        assert_eq!(
            parse_request(br#"{"version":1,"request":"reload"}"#),
            Ok(Request::Reload(ReloadOptions::default()))
        );
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        for (line, words) in [
            (&b"rubbish"[..], "not a request"),
            (b"", "not a request"),
            (b"{}", "no \"version\""),
            (br#"{"version":2,"request":"ping"}"#, "version 2"),
            (br#"{"version":1,"request":"dance"}"#, "unknown variant `dance`"),
            (br#"{"version":1}"#, "missing field `request`"),
            (b"\xff\xfe", "not a request"),
            // A misspelt option must not be a reload without it.
            (br#"{"version":1,"request":"reload","dryrun":true}"#, "unknown field `dryrun`"),
            (br#"{"version":1,"request":"softwire-lookup","ipv4":"1.2.3.4","prot":1}"#, "not a"),
        ] {
            let error = parse_request(line).unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn replies_round_trip() {
        for reply in [
            Reply::Ok(json!({})),
            Reply::Part(json!([1, 2])),
            Reply::Error(ControlError::refused("no\nand why")),
        ] {
            let line = reply.line();
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            assert_eq!(Reply::parse(&line), Ok(reply));
        }
        assert_eq!(Reply::parse(&part_line(&[1, 2])), Ok(Reply::Part(json!([1, 2]))));
    }
}
