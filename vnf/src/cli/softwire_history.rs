//! `lwaftr softwire lookup --at`.

use jiff::Timestamp;
use serde_json::Value;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::history::{Had, Head};
use crate::control::protocol::{Lookup, Request};

/// Asks who had it then.
pub(super) fn run(
    target: &Target,
    lookup: Lookup,
    at: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let (ipv4, port, b4) = match lookup {
        Lookup::Ipv4 { ipv4, port } => (Some(ipv4), port, None),
        Lookup::B4 { b4 } => (None, None, Some(b4)),
    };
    let mut answer = target.connect()?.ask(Request::SoftwireHistory { at, ipv4, port, b4 })?;
    let softwires: Value = answer["softwires"].take();
    if json {
        return print_json(&softwires);
    }
    let had: Vec<Had> = serde_json::from_value(softwires)
        .map_err(|error| Failure::Internal(format!("the answer has no softwires: {error}")))?;
    print(&had.iter().map(text).collect::<String>()).map(|_| ())
}

fn text(Had { softwire, since, until }: &Had) -> String {
    let made = |head: &Head| format!("{:.0}: {} by {}", head.time, head.action, head.actor);
    let since = since.as_ref().map_or("before the history began".to_owned(), made);
    let until = until.as_ref().map_or("still there".to_owned(), made);
    format!("{}\n  since {since}\n  until {until}\n", softwire.csv())
}
