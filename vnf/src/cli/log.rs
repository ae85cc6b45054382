//! The log: standard error, with the time for people, with the priority for systemd's journal.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Failure;

/// Starts logging what passes the filter: a level, or `module=level` pairs.
pub(super) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(format!("--log-level {filter}: {error}: error, warn, info, debug or trace"))
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // systemd sets this when it reads standard error.
    let outcome = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.event_format(ForJournal).try_init()
    } else {
        log.with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init()
    };
    outcome.map_err(|error| Failure::Internal(format!("the log cannot be started: {error}")))
}

/// `<3>text`: the journal takes the priority from the prefix and knows the time itself.
struct ForJournal;

impl<S, N> FormatEvent<S, N> for ForJournal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let priority = if level == Level::ERROR {
            3
        } else if level == Level::WARN {
            4
        } else if level == Level::INFO {
            6
        } else {
            7
        };
        write!(writer, "<{priority}>")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
