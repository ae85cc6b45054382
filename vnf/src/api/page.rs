//! The status page at `/`: three files without anything from elsewhere, and what their script asks
//! for. Whoever can connect gets the files, which say nothing; the figures need a role like all
//! others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::Handle;
use super::error::ApiError;
use super::media::json_answer;
use super::routes::{Access, READ, Routes, without_examples};
use crate::telemetry::DropReason;

/// What the page may load and ask: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Several people who watch get the same figures, when they are no older than this.
const FRESH: Duration = Duration::from_millis(500);

/// So many changes of the configuration are shown.
const EVENTS: usize = 12;

/// The lowest bucket of latency that is told apart, in nanoseconds, and how many follow; each is
/// the 10th root of 10 wider than the one before.
const LOWEST_BOUND: f64 = 100.0;
const BUCKETS: i32 = 51;

/// Adds the page to the API.
pub(super) fn add(routes: Routes) -> Routes {
    let file = |media_type, text| get(async move || static_file(media_type, text));
    let latest = Arc::new(Mutex::new(None));
    routes
        .add("/", Access::Anyone, file("text/html; charset=utf-8", include_str!("page/page.html")))
        .add("/page.css", Access::Anyone, file("text/css", include_str!("page/page.css")))
        .add("/page.js", Access::Anyone, file("text/javascript", include_str!("page/page.js")))
        .add(
            "/api/page",
            READ,
            get(async move |State(handle): State<Handle>| figures(&handle, &latest).await),
        )
}

fn static_file(media_type: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let headers: [(HeaderName, &'static str); 2] =
        [(header::CONTENT_TYPE, media_type), (header::CONTENT_SECURITY_POLICY, POLICY)];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// When it was, and what.
type Latest = Mutex<Option<(Instant, Value)>>;

async fn figures(handle: &Handle, latest: &Latest) -> Result<Response, ApiError> {
    // Who comes while somebody looks gets what that one sees.
    let mut latest = latest.lock().await;
    let known = latest.take().filter(|(when, _)| when.elapsed() < FRESH);
    let (when, value) = match known {
        Some(known) => known,
        None => (Instant::now(), look(handle).await?),
    };
    let response = json_answer("application/json", &value);
    *latest = Some((when, value));
    Ok(response)
}

async fn look(handle: &Handle) -> Result<Value, ApiError> {
    let control = &handle.control;
    let mut stats = without_examples(control.stats());
    if let Some(stats) = stats.as_object_mut() {
        stats.retain(|name, _| name == "interfaces");
    }
    let bounds: Vec<u64> = (0..BUCKETS)
        .map(|step| (LOWEST_BOUND * 10_f64.powf(f64::from(step) / 10.0)).round() as u64)
        .collect();
    let counts = control.latency().await.counts_up_to(&bounds);
    let meanings: Map<String, Value> = DropReason::ALL
        .iter()
        .map(|reason| (reason.name().to_owned(), reason.words().trim_end_matches('.').into()))
        .collect();
    Ok(json!({
        "status": control.status().await,
        "stats": stats,
        "latency": {"bounds": bounds, "counts": counts},
        "alarms": alarms(control.alarms()),
        "events": events(handle).await,
        "meanings": meanings,
    }))
}

/// Those that are raised, then the last ones that are over.
fn alarms(mut known: Value) -> Vec<Value> {
    let mut list = |name: &str, most| {
        let listed = known[name].as_array_mut().map(std::mem::take).unwrap_or_default();
        listed.into_iter().take(most)
    };
    list("alarms", usize::MAX).chain(list("over", EVENTS)).collect()
}

/// The last changes, the newest first, without who made them: that is for those who may inspect.
async fn events(handle: &Handle) -> Value {
    let records = handle.control.audit().last(EVENTS).await.unwrap_or_default();
    let event = |record: &crate::control::audit::Record| {
        json!({
            "time": record.time,
            "action": record.action,
            "what": record.what,
            "outcome": record.outcome,
            "detail": record.detail,
        })
    };
    records.iter().rev().map(event).collect()
}
