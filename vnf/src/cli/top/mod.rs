//! `lwaftr top`: what a running instance does, on one screen.
//!
//! `source` asks the instance, `model` makes rates of two readings, `screen` draws them, `once`
//! prints them.

mod model;
mod once;
mod screen;
mod source;

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use self::model::{Model, Order};
use self::source::{Answer, Source};
use super::output::{print, print_json};
use super::{Failure, Target};

/// How often keys are looked at.
const KEYS: Duration = Duration::from_millis(50);

/// Watch a running instance: throughput, drops, latency, workers, the busiest softwires
///
/// Rates are of the last interval, not since the start. Latency is that of the packets of the last
/// interval. The busiest softwires need softwires.counters = true. Works in any terminal of 80 by 24
/// characters, over ssh as well; ? shows the keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr top
  lwaftr top --interval 5 --instance edge2
  lwaftr top --once                                     one measurement, as text
  lwaftr top --once --json | jq '.drops[0]'             the most frequent drop right now
")]
pub struct Args {
    /// Seconds per measurement, 0.1 to 10
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = super::softwire_top::seconds)]
    interval: f64,

    /// Measure once, print, and end
    #[arg(long)]
    once: bool,

    /// With --once: as JSON
    #[arg(long, requires = "once")]
    json: bool,

    /// Which instance.
    #[command(flatten)]
    target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { interval, once, json, target } = args;
    let interval = Duration::from_secs_f64(interval);
    // An instance that is not there is said before the screen is taken.
    target.connect()?;
    let source = Source::start(target, interval);
    if once { measure_once(&source, json) } else { watch(&source, interval) }
}

/// Waits for two readings, and for what the softwires carried meanwhile.
fn measure_once(source: &Source, json: bool) -> Result<(), Failure> {
    let mut model = Model::default();
    let mut last_words = String::new();
    while !(model.is_measured() && model.knows_softwires()) {
        match source.answers.recv() {
            Ok(Answer::Gone(words)) if !last_words.is_empty() => {
                return Err(Failure::Unreachable(words));
            }
            Ok(answer) => {
                if let Answer::Gone(words) = &answer {
                    last_words.clone_from(words);
                }
                model.take(answer);
            }
            Err(_) => return Err(Failure::Internal("nobody measures any more".to_owned())),
        }
    }
    if json { print_json(&once::json(&model)) } else { print(&once::text(&model)).map(|_| ()) }
}

/// Shows the screen until somebody has seen enough.
fn watch(source: &Source, interval: Duration) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| {
        Failure::Refused(format!("no terminal to draw on: {error}: try --once"))
    })?;
    let outcome = show(&mut terminal, source, interval);
    ratatui::restore();
    outcome
}

fn show(
    terminal: &mut DefaultTerminal,
    source: &Source,
    interval: Duration,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Internal(format!("terminal: {error}"));
    let mut model = Model::default();
    let mut drawn = None::<Instant>;
    loop {
        let mut changed = drain(&source.answers, &mut model)?;
        while event::poll(Duration::ZERO).map_err(failed)? {
            changed = true;
            if act(&event::read().map_err(failed)?, &mut model) {
                return Ok(());
            }
        }
        if changed || drawn.is_none_or(|drawn| drawn.elapsed() > interval) {
            terminal.draw(|frame| screen::draw(frame, &model)).map_err(failed)?;
            drawn = Some(Instant::now());
        }
        if event::poll(KEYS).map_err(failed)? {
            continue;
        }
    }
}

/// Takes what has been answered; true when there was something.
fn drain(answers: &Receiver<Answer>, model: &mut Model) -> Result<bool, Failure> {
    let mut changed = false;
    loop {
        match answers.try_recv() {
            Ok(answer) => {
                model.take(answer);
                changed = true;
            }
            Err(TryRecvError::Empty) => return Ok(changed),
            Err(TryRecvError::Disconnected) => {
                return Err(Failure::Internal(format!("{}", RecvTimeoutError::Disconnected)));
            }
        }
    }
}

/// Does what a key says; true when it says to end.
fn act(event: &Event, model: &mut Model) -> bool {
    let Event::Key(key) = event else { return false };
    if key.kind != KeyEventKind::Press {
        return false;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Char('q') => return true,
        KeyCode::Esc if model.help => model.help = false,
        KeyCode::Esc => return true,
        KeyCode::Char('?' | 'h') => model.help = !model.help,
        KeyCode::Char('p' | ' ') => model.paused = !model.paused,
        KeyCode::Char('t') => model.order = Order::Total,
        KeyCode::Char('r') => model.order = Order::Rate,
        KeyCode::Down | KeyCode::Char('j') => model.scroll = model.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => model.scroll = model.scroll.saturating_sub(1),
        _ => {}
    }
    false
}
