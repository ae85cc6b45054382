//! The log of a process: standard error, as text for people, with priorities for systemd's journal,
//! or as JSON. What is logged can be changed while the process runs, and what repeats itself is
//! counted instead of printed.
//!
//! Workers never log on a packet's way: `wire`, `frame`, `lwaftr`, `worker` and the table know
//! nothing of it, which a test insists on.

mod format;
mod limiter;

use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, reload};

pub use format::Format;
use format::Line;
use limiter::Limiter;

/// What is logged unless somebody says otherwise.
pub const USUAL: &str = "info";

/// The process's log, once it is started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    /// Whoever started the process said what to log.
    given: bool,
    filter: reload::Handle<EnvFilter, Registry>,
    /// The filter as it was given.
    text: Mutex<String>,
    sink: Mutex<Sink>,
}

struct Sink {
    format: Format,
    limiter: Limiter,
}

/// Starts logging what passes the filter: a level, or `module=level` pairs; [`USUAL`] unless given.
pub fn start(filter: Option<&str>) -> Result<(), String> {
    let (given, filter) = (filter.is_some(), filter.unwrap_or(USUAL));
    let (layer, handle) = reload::Layer::new(parse(filter)?);
    let sink = Sink { format: Format::usual(), limiter: Limiter::default() };
    let log =
        Log { given, filter: handle, text: Mutex::new(filter.to_owned()), sink: Mutex::new(sink) };
    LOG.set(log).map_err(|_| "the log has been started already".to_owned())?;
    tracing_subscriber::registry()
        .with(layer)
        .with(ToStandardError)
        .try_init()
        .map_err(|error| format!("the log cannot be started: {error}"))
}

/// Logs what passes this filter from now on.
pub fn filter(filter: &str) -> Result<(), String> {
    let new = parse(filter)?;
    let log = LOG.get().ok_or_else(|| "this process has no log to change".to_owned())?;
    log.filter.reload(new).map_err(|error| error.to_string())?;
    filter.clone_into(&mut log.text.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// Logs as a configuration wants it. What was given at the start counts more.
pub fn configure(filter: &str, format: Format) {
    if let Some(log) = LOG.get() {
        log.sink.lock().unwrap_or_else(PoisonError::into_inner).format = format;
        if !log.given
            && let Err(error) = self::filter(filter)
        {
            tracing::warn!("instance.log-level: {error}");
        }
    }
}

/// What is logged now.
#[must_use]
pub fn filter_now() -> Option<String> {
    let log = LOG.get()?;
    Some(log.text.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Says what was left out, when it is time to. To be called now and then.
pub fn tick() {
    if let Some(log) = LOG.get() {
        log.sink.lock().unwrap_or_else(PoisonError::into_inner).sum_up(Instant::now());
    }
}

/// Reads a filter. A word alone is a level: the library would take any other one for a module.
pub fn parse(filter: &str) -> Result<EnvFilter, String> {
    let refuse = |wrong: String| {
        format!(
            "{filter}: {wrong}: off, error, warn, info, debug or trace; or for modules, \
             info,vnf::control=debug"
        )
    };
    for word in filter.split(',').filter(|word| !word.contains('=')) {
        let level = word.trim().parse::<LevelFilter>();
        if word.trim().is_empty() || level.is_err() {
            return Err(refuse(format!("`{word}` is not a level")));
        }
    }
    EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))
}

/// Prints events.
struct ToStandardError;

impl<S: Subscriber> Layer<S> for ToStandardError {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = LOG.get() else { return };
        let line = Line::of(event);
        let mut sink = log.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sink.sum_up(now);
        // Who wants details wants them all.
        if line.level > Level::INFO || sink.limiter.admit(&line, event.metadata(), now) {
            sink.print(&line);
        }
    }
}

impl Sink {
    fn sum_up(&mut self, now: Instant) {
        for line in self.limiter.sums(now) {
            self.print(&line);
        }
    }

    fn print(&self, line: &Line) {
        // Nobody can be told that this fails.
        _ = std::io::stderr().write_all(self.format.text(line).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    #[test]
    fn only_levels_and_pairs_pass() {
        for good in ["info", "off", "WARN", "info,vnf::control=debug", "vnf=trace"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["loud", "", "info,loud", "vnf=loud"] {
            let words = parse(bad).unwrap_err();
            assert!(words.contains("error, warn, info"), "{words}");
        }
    }

    #[test]
    fn nothing_logs_on_a_packets_way() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut waiting: Vec<PathBuf> =
            ["wire", "frame", "lwaftr", "worker", "memory", "softwire", "filter"]
                .map(|room| source.join(room))
                .into();
        waiting.extend(["dpdk/queue.rs", "dpdk/mbuf.rs"].map(|file| source.join(file)));
        let mut files = 0;
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).unwrap();
                waiting.extend(entries.map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("tracing::"), "{} logs", path.display());
            files += 1;
        }
        assert!(files > 50, "{files}");
    }
}
