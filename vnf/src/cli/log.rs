//! The log: standard error, with the time for people, with the priority for systemd's journal.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Failure;

/// Starts logging what passes the filter: a level, or `module=level` pairs.
pub(super) fn start(filter: &str) -> Result<(), Failure> {
    let filter = parse(filter)?;
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

/// A word alone is a level: the library would take any other one for a module.
fn parse(filter: &str) -> Result<EnvFilter, Failure> {
    let refuse = |wrong: String| {
        Failure::Usage(format!(
            "--log-level {filter}: {wrong}: off, error, warn, info, debug or trace; or for modules, \
             info,vnf::control=debug"
        ))
    };
    for word in filter.split(',').filter(|word| !word.contains('=')) {
        let level = word.trim().parse::<LevelFilter>();
        if word.trim().is_empty() || level.is_err() {
            return Err(refuse(format!("`{word}` is not a level")));
        }
    }
    EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_and_pairs_pass() {
        for good in ["info", "off", "WARN", "info,vnf::control=debug", "vnf=trace"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["loud", "", "info,loud", "vnf=loud"] {
            let failure = parse(bad).unwrap_err();
            assert_eq!(failure.exit_code(), 2, "{bad}");
            assert!(failure.to_string().contains("error, warn, info"), "{failure}");
        }
    }
}
