//! What the API answers when the answer is no: the errors of RESTCONF (RFC 8040 section 7.1).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::media::{YANG_DATA, json_answer};
use crate::control::{ControlError, ErrorKind};

/// The `error-tag` of an error, and the status that goes with it (RFC 8040 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Somebody else changes things, or it contradicts what is there.
    InUse,
    /// It cannot be understood.
    InvalidValue,
    /// Larger than what is accepted.
    TooBig,
    /// Something must be there and is not.
    MissingElement,
    /// An element whose value is wrong.
    BadElement,
    /// An element that is not known here.
    UnknownElement,
    /// Who asks may not.
    AccessDenied,
    /// What shall be created is there already.
    DataExists,
    /// What shall be changed is not there.
    DataMissing,
    /// Nothing here does that.
    OperationNotSupported,
    /// It could not be done, although the request is right.
    OperationFailed,
}

impl Tag {
    fn name(self) -> &'static str {
        match self {
            Self::InUse => "in-use",
            Self::InvalidValue => "invalid-value",
            Self::TooBig => "too-big",
            Self::MissingElement => "missing-element",
            Self::BadElement => "bad-element",
            Self::UnknownElement => "unknown-element",
            Self::AccessDenied => "access-denied",
            Self::DataExists => "data-exists",
            Self::DataMissing => "data-missing",
            Self::OperationNotSupported => "operation-not-supported",
            Self::OperationFailed => "operation-failed",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidValue | Self::MissingElement | Self::BadElement | Self::UnknownElement => {
                StatusCode::BAD_REQUEST
            }
            Self::TooBig => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::InUse | Self::DataExists | Self::DataMissing => StatusCode::CONFLICT,
            Self::OperationNotSupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::OperationFailed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    tag: Tag,
    /// `transport`, `rpc`, `protocol` or `application`.
    layer: &'static str,
    message: String,
    path: Option<String>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// An error about the data, with the status that goes with its tag.
    #[must_use]
    pub fn new(tag: Tag, message: impl Into<String>) -> Self {
        let (status, layer) = (tag.status(), "application");
        Self { status, tag, layer, message: message.into(), path: None, header: None }
    }

    /// An error about the request itself.
    #[must_use]
    pub fn protocol(tag: Tag, message: impl Into<String>) -> Self {
        Self { layer: "protocol", ..Self::new(tag, message) }
    }

    /// There is no such resource, or nothing in it.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::protocol(Tag::InvalidValue, message).with_status(StatusCode::NOT_FOUND)
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same about this instance of the data.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// The same with a header field.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }

    /// Who asks must say who they are.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::protocol(Tag::AccessDenied, message)
            .with_status(StatusCode::UNAUTHORIZED)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    fn json(&self) -> Value {
        let mut error = json!({
            "error-type": self.layer,
            "error-tag": self.tag.name(),
            "error-message": self.message,
        });
        if let Some(path) = &self.path {
            error["error-path"] = path.as_str().into();
        }
        json!({"ietf-restconf:errors": {"error": [error]}})
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error.kind {
            ErrorKind::Usage => Self::new(Tag::InvalidValue, error.message),
            ErrorKind::Refused | ErrorKind::Files => Self::new(Tag::InvalidValue, error.message),
            ErrorKind::Internal => Self::new(Tag::OperationFailed, error.message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_answer(YANG_DATA, &self.json());
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
