//! A capture for a client of the control socket: the parts of the answer are
//! `{"frames": [FRAME, ...], "lost": N}`, the end of it is `{"frames": N, "lost": N}`.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{CaptureOptions, Part};
use crate::capture::{Event, Record};
use crate::control::actor::Actor;
use crate::control::error::ControlError;
use crate::control::protocol::Reply;
use crate::control::server::send;
use crate::control::state::Control;
use crate::telemetry::DropReason;

/// Captures for a client, as long as it wants that.
pub(in crate::control) async fn capture(
    control: &Control,
    actor: &Actor,
    options: CaptureOptions,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<Result<Value, ControlError>> {
    let mut session = match control.begin_capture(actor, options).await {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    let mut outcome = Ok(());
    while let Some(Part { records, lost }) = session.next().await {
        let frames: Vec<Value> = records.iter().map(frame_json).collect();
        let part = json!({"frames": frames, "lost": lost});
        outcome = send(write, &Reply::Part(part)).await;
        if outcome.is_err() {
            break;
        }
    }
    let [sent, lost] = session.end().await;
    outcome.map(|()| Ok(json!({"frames": sent, "lost": lost})))
}

fn frame_json(record: &Record) -> Value {
    let (event, detail) = match record.event {
        Event::Received => ("received", None),
        Event::Dropped(reason) => ("dropped", Some(reason.name())),
        Event::Ignored(reason) => ("ignored", Some(reason.name())),
        Event::Sent(way) => ("sent", Some(way.name())),
        Event::Refused => ("refused", Some(DropReason::TxFull.name())),
    };
    json!({
        "time": record.time,
        "side": record.side.name(),
        "event": event,
        "detail": detail,
        "length": record.length,
        "frame": STANDARD.encode(&record.frame),
    })
}
