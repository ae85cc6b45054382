//! What subscribers do, for those with the role `inspect`: who owns what, frames that were dropped, and
//! captures.

use std::convert::Infallible;
use std::str::FromStr as _;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::stream;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Handle;
use super::caller::Caller;
use super::error::{ApiError, Tag};
use super::media::{body, json_answer};
use super::routes::{INSPECT, Routes};
use crate::capture::Writer;
use crate::control::Row;
use crate::control::capture::{CaptureOptions, Session};
use crate::control::protocol::Lookup;
use crate::softwire::Softwire;

/// More softwires of one address or B4 are not listed.
const MOST_FOUND: usize = 64;

/// Adds the resources.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .add("/api/lookup", INSPECT, get(lookup))
        .add("/api/stats/examples", INSPECT, get(examples))
        .add("/api/capture", INSPECT, post(capture))
}

/// Whose is it? As `lwaftr softwire lookup --json`, with the ports.
async fn lookup(
    State(handle): State<Handle>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let what = query.strip_prefix("what=").unwrap_or_default();
    let what = percent_decode_str(what).decode_utf8_lossy();
    let lookup = Lookup::from_str(what.trim())
        .map_err(|expected| ApiError::protocol(Tag::InvalidValue, expected))?;
    let found = handle.control.lookup(lookup).await?;
    let rows: Vec<Value> = found.iter().take(MOST_FOUND).map(row).collect();
    Ok(json_answer("application/json", &json!({"softwires": rows, "found": found.len()})))
}

fn row(softwire: &Softwire) -> Value {
    let ranges = softwire.port_set.ranges();
    let ports: Vec<String> =
        ranges.map(|range| format!("{}\u{2013}{}", range.start(), range.end())).collect();
    let mut row = json!(Row::from(*softwire));
    row["ports"] = ports.into();
    row
}

/// The counters with a frame for each reason, as `lwaftr stats --json`.
async fn examples(State(handle): State<Handle>) -> Response {
    json_answer("application/json", &handle.control.stats())
}

/// A pcapng file, as `lwaftr capture` writes it, while it grows.
async fn capture(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, ApiError> {
    let sent = body(&headers, sent, "application/json").await?;
    let options: CaptureOptions = serde_json::from_slice(&sent)
        .map_err(|error| ApiError::protocol(Tag::InvalidValue, format!("the body: {error}")))?;
    let snap_length = options.snap_length;
    let session = handle.control.begin_capture(&caller.actor, options).await?;
    let file = File::new(session, snap_length)?;
    let parts = stream::unfold(file, |mut file| async {
        Some((Ok::<_, Infallible>(file.next().await?), file))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let kind = HeaderValue::from_static("application/x-pcapng");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A capture that becomes a file.
struct File {
    /// None at its end.
    session: Option<Session>,
    writer: Writer<Vec<u8>>,
}

impl File {
    fn new(session: Session, snap_length: u32) -> Result<Self, ApiError> {
        let writer = Writer::new(Vec::new(), snap_length)
            .map_err(|error| ApiError::new(Tag::OperationFailed, error.to_string()))?;
        Ok(Self { session: Some(session), writer })
    }

    /// What it has grown by; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // At first, the beginning of the file.
            let grown = self.writer.take();
            if !grown.is_empty() {
                return Some(grown.into());
            }
            let Some(part) = self.session.as_mut()?.next().await else {
                self.session.take()?.end().await;
                return None;
            };
            // Memory takes all that is written to it.
            part.records.iter().try_for_each(|record| self.writer.write(record)).ok()?;
        }
    }
}
