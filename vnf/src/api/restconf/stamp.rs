//! Entity tags and times, and conditional requests (RFC 8040 section 3.5, RFC 7232).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::api::error::{ApiError, Tag};
use crate::control::Stamp;

/// What tells one state of a resource from another.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// With its quotes.
    pub(super) etag: String,
    /// When the datastore was changed last.
    pub(super) modified: Timestamp,
}

impl Version {
    /// The datastore's: each change of anything makes a new one.
    pub(super) fn of_datastore(stamp: &Stamp) -> Self {
        let Stamp { incarnation, version, modified } = stamp;
        let microsecond = modified.as_microsecond();
        Self { etag: format!("\"{incarnation:x}-{version}-{microsecond:x}\""), modified: *modified }
    }

    /// That of one entry: it changes with what the entry says.
    pub(super) fn of_entry(entry: &Value, stamp: &Stamp) -> Self {
        let digest = Sha256::digest(entry.to_string());
        let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self { etag: format!("\"e{digits}\""), modified: stamp.modified }
    }

    /// As header fields.
    pub(super) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let modified =
            DateTimePrinter::new().timestamp_to_rfc9110_string(&self.modified).unwrap_or_default();
        let value =
            |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        [(header::ETAG, value(&self.etag)), (header::LAST_MODIFIED, value(&modified))]
    }
}

/// What a request makes a condition.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_unmodified_since: Option<Timestamp>,
    if_modified_since: Option<Timestamp>,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let list = |name: HeaderName| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let all: Vec<&str> = values.collect();
            (!all.is_empty()).then(|| all.join(","))
        };
        let time = |name: HeaderName| {
            let text = headers.get(name)?.to_str().ok()?;
            DateTimeParser::new().parse_timestamp(text).ok()
        };
        Self {
            if_match: list(header::IF_MATCH),
            if_none_match: list(header::IF_NONE_MATCH),
            if_unmodified_since: time(header::IF_UNMODIFIED_SINCE),
            if_modified_since: time(header::IF_MODIFIED_SINCE),
        }
    }

    /// Whether a change may be made of what is like this now; `None` for nothing there.
    pub(super) fn allow(&self, now: Option<&Version>) -> Result<(), ApiError> {
        let failed = |words: &str| {
            Err(ApiError::protocol(Tag::OperationFailed, words)
                .with_status(StatusCode::PRECONDITION_FAILED))
        };
        if let Some(tags) = &self.if_match {
            if !now.is_some_and(|now| matches(tags, &now.etag)) {
                return failed("it has changed meanwhile: If-Match names another state");
            }
        } else if let Some(since) = self.if_unmodified_since
            && now.is_some_and(|now| now.modified.as_second() > since.as_second())
        {
            return failed("it has changed since the time of If-Unmodified-Since");
        }
        if let Some(tags) = &self.if_none_match
            && now.is_some_and(|now| matches(tags, &now.etag))
        {
            return failed("it is there already: If-None-Match");
        }
        Ok(())
    }

    /// Whether who reads has this already.
    pub(super) fn is_known(&self, now: &Version) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => matches(tags, &now.etag),
            (None, Some(since)) => now.modified.as_second() <= since.as_second(),
            (None, None) => false,
        }
    }
}

fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag)
}
