//! Bodies of requests and answers: which types are taken, how large they may be and how slow.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::{ApiError, Tag};

/// Instances of YANG data as JSON (RFC 8040 section 11.3).
pub(super) const YANG_DATA: &str = "application/yang-data+json";

/// The largest body of a request: some 60 000 entries of the binding table.
pub(super) const LARGEST_BODY: usize = 16 << 20;

/// How long a client may take to send the next piece of a body.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take to send all of it.
const ALL_OF_IT: Duration = Duration::from_secs(120);

/// So many bodies are received at the same time: what they take of memory is bounded.
static RECEIVING: Semaphore = Semaphore::const_new(4);

/// Receives the body of a request, which must have this type.
pub async fn body(headers: &HeaderMap, body: Body, media_type: &str) -> Result<Bytes, ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let name = given.map(|value| value.split(';').next().unwrap_or_default().trim());
    if !name.is_some_and(|name| name.eq_ignore_ascii_case(media_type)) {
        let message = format!("the body must have Content-Type: {media_type}");
        return Err(ApiError::protocol(Tag::InvalidValue, message)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let too_large = || {
        let message = format!("the body is larger than {LARGEST_BODY} bytes: several requests");
        ApiError::protocol(Tag::TooBig, message)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced
        .and_then(|value| value.parse().ok())
        .is_some_and(|length: usize| length > LARGEST_BODY)
    {
        return Err(too_large());
    }
    let _place = RECEIVING.acquire().await.map_err(|_| slow())?;
    let received = timeout(ALL_OF_IT, receive(body)).await.map_err(|_| slow())??;
    received.ok_or_else(too_large)
}

/// `None` when it is too large.
async fn receive(mut body: Body) -> Result<Option<Bytes>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| slow())? {
        let cut = |error| ApiError::protocol(Tag::InvalidValue, format!("the body: {error}"));
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        if bytes.len() + data.len() > LARGEST_BODY {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes.into()))
}

fn slow() -> ApiError {
    ApiError::protocol(Tag::OperationFailed, "the body did not come in time")
        .with_status(StatusCode::REQUEST_TIMEOUT)
}

/// JSON of this type as an answer.
pub fn json_answer(media_type: &'static str, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
