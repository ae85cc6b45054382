//! The event stream (RFC 8040 section 6): changes of the binding table, and alarms.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::Handle;
use crate::control::{Change, Control, Event};

/// How often alarms are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// So many looks without an event, and a comment says that the connection lives.
const QUIET_LOOKS: u32 = 15;

/// Somebody who listens.
struct Listener {
    control: Arc<Control>,
    events: Receiver<Arc<Event>>,
    looks: Interval,
    quiet: u32,
    alarms: Vec<Value>,
}

/// `GET /restconf/streams/NETCONF`: what happens from now on. Alarms that are raised already come
/// first.
pub(super) async fn events(State(handle): State<Handle>) -> Response {
    let events = handle.control.events();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let control = handle.control;
    let listener = Listener { control, events, looks, quiet: 0, alarms: Vec::new() };
    let parts = stream::unfold(listener, |mut listener| async {
        let part = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(part)), listener))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Listener {
    /// What to send next; `None` when the instance ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => {
                        let config = self.control.config();
                        if let Some(text) = of_change(&event, &config.instance.name) {
                            return Some(text);
                        }
                    }
                    Err(RecvError::Lagged(count)) => {
                        let missed = json!({"count": count.to_string()});
                        return Some(notification(Timestamp::now(), "lwaftr:events-missed", &missed));
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = self.looks.tick() => {
                    let text = self.changed_alarms();
                    self.quiet = if text.is_empty() { self.quiet + 1 } else { 0 };
                    if !text.is_empty() {
                        return Some(text);
                    }
                    if self.quiet % QUIET_LOOKS == 1 {
                        return Some(": nothing new\n\n".to_owned());
                    }
                }
            }
        }
    }

    /// The alarms that were raised or cleared since the last look.
    fn changed_alarms(&mut self) -> String {
        let now = self.control.alarms();
        let now = now["alarms"].as_array().cloned().unwrap_or_default();
        let is_same = |one: &Value, other: &Value| {
            ["name", "side", "about"].iter().all(|key| one[key] == other[key])
        };
        let among = |all: &[Value], one: &Value| all.iter().any(|other| is_same(one, other));
        let cleared =
            self.alarms.iter().filter(|old| !among(&now, old)).map(|old| (old, "cleared"));
        let raised = now.iter().filter(|new| !among(&self.alarms, new)).map(|new| (new, "raised"));
        let text = cleared.chain(raised).map(|(alarm, state)| {
            let mut told = json!({"state": state});
            for key in ["name", "side", "about", "text", "remedy"] {
                if alarm[key].is_string() {
                    told[key] = alarm[key].clone();
                }
            }
            notification(Timestamp::now(), "lwaftr:alarm", &told)
        });
        let text = text.collect();
        self.alarms = now;
        text
    }
}

/// A change as the model's notification, or, when it is a large one, as one of ours.
fn of_change(event: &Event, instance: &str) -> Option<String> {
    let total = event.added + event.removed + event.changed;
    if total == 0 {
        return None;
    }
    if event.changes.is_empty() {
        let changed = json!({
            "bind-name": instance,
            "version": event.version.to_string(),
            "added": event.added,
            "removed": event.removed,
            "modified": event.changed,
        });
        return Some(notification(event.time, "lwaftr:binding-table-changed", &changed));
    }
    let mut told = b4s(&event.changes);
    told["bind-name"] = instance.into();
    Some(notification(event.time, "ietf-softwire-br:softwire-binding-instance-event", &told))
}

/// The B4s that came, went, or have something else now.
fn b4s(changes: &[Change]) -> Value {
    let (mut added, mut gone, mut modified) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        let before = change.before.map(|binding| binding.softwire.b4);
        let after = change.after.map(|binding| binding.softwire.b4);
        match (before, after) {
            (Some(before), Some(after)) if before == after => modified.push(before),
            _ => {
                gone.extend(before);
                added.extend(after);
            }
        }
    }
    // Who went and came has another address or port set.
    modified.extend(gone.iter().filter(|b4| added.contains(b4)));
    added.retain(|b4| !modified.contains(b4));
    gone.retain(|b4| !modified.contains(b4));
    let mut told = json!({});
    for (name, mut list) in
        [("added-entry", added), ("invalid-entry", gone), ("modified-entry", modified)]
    {
        list.sort_unstable();
        list.dedup();
        if !list.is_empty() {
            told[name] = list.iter().map(ToString::to_string).collect();
        }
    }
    told
}

fn notification(time: Timestamp, name: &str, content: &Value) -> String {
    let told = json!({"ietf-restconf:notification": {
        "eventTime": time.to_string(),
        name: content,
    }});
    format!("data: {told}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softwire::{Binding, PortSet, Softwire};

    fn binding(ipv4: &str, b4: u16) -> Option<Binding> {
        let softwire = Softwire {
            ipv4: ipv4.parse().unwrap(),
            port_set: PortSet::WHOLE_ADDRESS,
            b4: format!("2001:db8::{b4:x}").parse().unwrap(),
            br: "2001:db8:ffff::1".parse().unwrap(),
        };
        Some(Binding { softwire, until: None })
    }

    #[test]
    fn a_b4_that_moves_is_modified() {
        let told = b4s(&[
            Change { before: binding("192.0.2.1", 1), after: None },
            Change { before: None, after: binding("192.0.2.2", 1) },
            Change { before: binding("192.0.2.3", 3), after: binding("192.0.2.3", 4) },
            Change { before: binding("192.0.2.5", 5), after: binding("192.0.2.5", 5) },
        ]);
        assert_eq!(
            told,
            json!({
                "added-entry": ["2001:db8::4"],
                "invalid-entry": ["2001:db8::3"],
                "modified-entry": ["2001:db8::1", "2001:db8::5"],
            })
        );
    }
}
