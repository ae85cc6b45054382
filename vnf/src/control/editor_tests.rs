//! Edits, the journal and reloads together, with files and without workers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::actor::{Actor, Order};
use super::batch::{Batch, Edited};
use super::editor::Editor;
use super::error::{ControlError, ErrorKind};
use super::reload::{ReloadOptions, ReloadReport, prepare};
use super::row::Key;
use super::testing::{softwire, table, write_config, write_table};
use crate::config;
use crate::memory::Generations;
use crate::side::Side;
use crate::softwire::{Binding, Softwire};
use crate::wire::MacAddr;

struct Relay {
    directory: TempDir,
    path: PathBuf,
    editor: Editor,
}

fn start_in(directory: &Path, discard_edits: bool) -> Result<Editor, ControlError> {
    let loaded = config::load_with_table(&directory.join("lwaftr.toml"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let (generations, _) = Generations::new(0);
    let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    Editor::start(loaded, macs, generations, &directory.join("journal"), discard_edits)
}

impl Relay {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = write_config(directory.path(), &table());
        let editor = start_in(directory.path(), false).unwrap();
        Self { directory, path, editor }
    }

    /// The process ends and starts again.
    fn restart(self) -> (TempDir, Result<Editor, ControlError>) {
        let Self { directory, editor, .. } = self;
        drop(editor);
        let editor = start_in(directory.path(), false);
        (directory, editor)
    }

    fn add(&mut self, softwires: &[Softwire]) -> Result<Edited, ControlError> {
        let batch = Batch::Add { softwires: bindings(softwires), replace: false };
        self.editor.edit(&Order::new(&nobody(), "test"), &batch, |n| format!("softwire {}", n + 1))
    }

    fn replace(&mut self, softwires: &[Softwire]) -> Result<Edited, ControlError> {
        let batch = Batch::Add { softwires: bindings(softwires), replace: true };
        self.editor.edit(&Order::new(&nobody(), "test"), &batch, |n| format!("softwire {}", n + 1))
    }

    fn remove(&mut self, softwires: &[Softwire]) -> Result<Edited, ControlError> {
        let keys = softwires.iter().map(Key::of).collect();
        self.editor.edit(&Order::new(&nobody(), "test"), &Batch::Remove(keys), |n| {
            format!("softwire {}", n + 1)
        })
    }

    fn reload(&mut self, options: ReloadOptions) -> Result<ReloadReport, ControlError> {
        let prepared = prepare(&self.editor.basis(), options)?;
        if options.dry_run {
            Ok(prepared.report)
        } else {
            self.editor.commit(&Order::new(&nobody(), "reload"), prepared)
        }
    }

    fn softwires(&self) -> Vec<Softwire> {
        softwires(&self.editor)
    }

    fn change_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&self.path, text.replace(from, to)).unwrap();
    }
}

fn softwires(editor: &Editor) -> Vec<Softwire> {
    editor.publisher().table().softwires().collect()
}

fn bindings(softwires: &[Softwire]) -> Vec<Binding> {
    softwires.iter().copied().map(Binding::from).collect()
}

fn nobody() -> Actor {
    Actor::instance("test")
}

const PLAIN: ReloadOptions =
    ReloadOptions { dry_run: false, force: false, discard_edits: false, confirm_within: None };
const FORCE: ReloadOptions = ReloadOptions { force: true, ..PLAIN };
const DISCARD: ReloadOptions = ReloadOptions { discard_edits: true, ..PLAIN };
const DRY: ReloadOptions = ReloadOptions { dry_run: true, ..PLAIN };

#[test]
fn a_batch_is_all_or_nothing_and_names_its_softwires() {
    let mut relay = Relay::start();
    let other = Softwire { ipv4: "203.0.113.8".parse().unwrap(), ..softwire(2, 0, 50) };
    let error = relay.add(&[other, softwire(2, 1, 60)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.starts_with("softwire 2: 203.0.113.7 psid 1"), "{error}");
    assert_eq!(relay.softwires(), table());
    assert_eq!(relay.add(&[other]), Ok(Edited { added: 1, removed: 0 }));
    let gone = Softwire { ipv4: "203.0.113.9".parse().unwrap(), ..other };
    assert!(relay.remove(&[other, gone]).unwrap_err().message.contains("no such softwire"));
    assert_eq!(relay.softwires().len(), 5);
    assert_eq!(relay.remove(&[other]), Ok(Edited { added: 0, removed: 1 }));
    assert_eq!(relay.softwires(), table());
    assert_eq!(relay.editor.journalled(), Some(0), "all is as it was");
}

#[test]
fn an_address_changes_its_psid_length_in_one_step() {
    let mut relay = Relay::start();
    let longer: Vec<_> = (0..8).map(|psid| softwire(3, psid, u128::from(psid) + 100)).collect();
    // Six of eight leave the last of the four old ones where it is: two layouts.
    let error = relay.replace(&longer[..6]).unwrap_err();
    assert!(error.message.contains("share one layout"), "{error}");
    assert_eq!(relay.softwires(), table());
    assert_eq!(relay.replace(&longer), Ok(Edited { added: 8, removed: 4 }));
    assert_eq!(relay.softwires(), longer);
    assert_eq!(relay.replace(&longer), Ok(Edited { added: 0, removed: 0 }), "nothing to do");
    let (_directory, editor) = relay.restart();
    assert_eq!(softwires(&editor.unwrap()), longer);
}

#[test]
fn edits_survive_reload_and_restart_until_the_file_contains_them() {
    let mut relay = Relay::start();
    let moved = Softwire { b4: softwire(2, 0, 77).b4, ..table()[0] };
    relay.replace(&[moved]).unwrap();
    relay.remove(&table()[1..2]).unwrap();
    let edited = [moved, table()[2], table()[3]];
    assert_eq!(relay.softwires(), edited);

    let report = relay.reload(PLAIN).unwrap();
    assert_eq!((report.edits_kept, report.edits_dropped), (2, 0));
    assert_eq!(relay.softwires(), edited);

    write_table(relay.directory.path(), &[moved, table()[1], table()[2], table()[3]]);
    let report = relay.reload(PLAIN).unwrap();
    assert_eq!((report.edits_kept, report.edits_dropped), (1, 1));
    assert_eq!(relay.softwires(), edited);
    let (_directory, editor) = relay.restart();
    assert_eq!(softwires(&editor.unwrap()), edited);
}

#[test]
fn a_file_that_would_undo_edits_needs_consent() {
    let mut relay = Relay::start();
    let moved = Softwire { b4: softwire(2, 0, 77).b4, ..table()[0] };
    let also_moved = Softwire { b4: softwire(2, 1, 78).b4, ..table()[1] };
    relay.replace(&[moved, also_moved]).unwrap();
    let third = Softwire { b4: softwire(2, 0, 88).b4, ..table()[0] };
    let file = [third, table()[1], table()[2], table()[3]];
    write_table(relay.directory.path(), &file);

    let error = relay.reload(PLAIN).unwrap_err();
    assert!(error.message.contains("would undo edits"), "{error}");
    assert!(error.message.contains(&format!("the file has {third}")), "{error}");
    assert!(error.message.contains("--discard-edits"), "{error}");
    assert_eq!(relay.softwires()[0], moved);

    let directory = relay.directory.path().to_owned();
    drop(std::mem::replace(&mut relay.editor, {
        // The journal is locked while the editor lives.
        let elsewhere = tempfile::tempdir().unwrap();
        write_config(elsewhere.path(), &table());
        start_in(elsewhere.path(), false).unwrap()
    }));
    // A restart does not wait for consent: what contradicts the file is left out and kept.
    let mut editor = start_in(&directory, false).unwrap();
    assert_eq!(softwires(&editor), [third, also_moved, table()[2], table()[3]]);
    assert_eq!(editor.journalled(), Some(2));
    let prepared = prepare(&editor.basis(), PLAIN).unwrap();
    assert!(prepared.report.refused.unwrap().contains("would undo edits"));
    // Who edits it again has decided.
    let fourth = Softwire { b4: softwire(2, 0, 99).b4, ..table()[0] };
    let batch = Batch::Add { softwires: bindings(&[fourth]), replace: true };
    editor.edit(&Order::new(&nobody(), "test"), &batch, |n| n.to_string()).unwrap();
    drop(editor);
    let editor = start_in(&directory, false).unwrap();
    assert_eq!(softwires(&editor), [fourth, also_moved, table()[2], table()[3]]);
    assert_eq!(prepare(&editor.basis(), PLAIN).unwrap().report.refused, None);
    drop(editor);

    let editor = start_in(&directory, true).unwrap();
    assert_eq!(softwires(&editor), file);
    assert_eq!(editor.journalled(), Some(0));
}

#[test]
fn discarding_edits_leaves_what_the_file_says() {
    let mut relay = Relay::start();
    let other = Softwire { ipv4: "203.0.113.8".parse().unwrap(), ..softwire(2, 0, 50) };
    relay.add(&[other]).unwrap();
    let report = relay.reload(ReloadOptions { force: true, ..DISCARD }).unwrap();
    assert_eq!((report.edits_kept, report.edits_dropped), (0, 1));
    assert_eq!(relay.softwires(), table());
    let (_directory, editor) = relay.restart();
    assert_eq!(softwires(&editor.unwrap()), table());
}

#[test]
fn without_persist_edits_last_until_the_reload() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_config(directory.path(), &table());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("file =", "persist = false\nmax-removal = 100\nfile ="))
        .unwrap();
    let editor = start_in(directory.path(), false).unwrap();
    let mut relay = Relay { directory, path, editor };
    let other = Softwire { ipv4: "203.0.113.8".parse().unwrap(), ..softwire(2, 0, 50) };
    relay.add(&[other]).unwrap();
    assert_eq!(relay.softwires().len(), 5);
    relay.reload(PLAIN).unwrap();
    assert_eq!(relay.softwires(), table());
    assert!(!relay.directory.path().join("journal").exists());
}

#[test]
fn listeners_hear_of_every_change_and_the_table_has_a_version() {
    let mut relay = Relay::start();
    let mut events = relay.editor.events();
    let first = relay.editor.version();
    let other = Softwire { ipv4: "203.0.113.8".parse().unwrap(), ..softwire(2, 0, 50) };
    relay.add(&[other]).unwrap();
    relay.reload(PLAIN).unwrap();
    relay.editor.roll_back(&Order::new(&nobody(), "rollback")).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let seen: Vec<_> =
        told.iter().map(|event| (event.action.as_str(), event.version, event.added)).collect();
    assert_eq!(
        seen,
        [("test", first + 1, 1), ("reload", first + 2, 0), ("rollback", first + 3, 0)]
    );
    assert_eq!(told[0].changes[0].after, Some(other.into()));
    assert_eq!(told[0].actor, nobody());
    assert_eq!(relay.softwires().len(), 5, "the reload was taken back, the edit was not");
}

#[test]
fn a_truncated_table_needs_force() {
    let mut relay = Relay::start();
    write_table(relay.directory.path(), &table()[..3]);
    let error = relay.reload(PLAIN).unwrap_err();
    assert!(error.message.contains("remove 1 of 4 softwires"), "{error}");
    assert!(error.message.contains("--force"), "{error}");
    assert_eq!(relay.softwires(), table());
    let report = relay.reload(DRY).unwrap();
    assert!(report.refused.unwrap().contains("--force"));
    let report = relay.reload(FORCE).unwrap();
    assert_eq!((report.softwires.removed, report.total), (1, 3));
    assert_eq!(relay.softwires(), table()[..3]);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let mut relay = Relay::start();
    relay.change_config("[softwires]", "[policy]\nhop-limit = 32\n[softwires]\nmax-removal = 50");
    let moved = Softwire { b4: softwire(2, 0, 77).b4, ..table()[0] };
    let new = Softwire { ipv4: "203.0.113.8".parse().unwrap(), ..softwire(2, 0, 50) };
    write_table(relay.directory.path(), &[moved, table()[1], table()[2], new]);
    let before = Arc::as_ptr(&relay.editor.publisher().snapshots().load_full());

    let report = relay.reload(DRY).unwrap();
    assert_eq!(report.refused, None);
    assert_eq!(report.settings, ["softwires.max-removal: 10 -> 50", "policy.hop-limit: 64 -> 32"]);
    let softwires = &report.softwires;
    assert_eq!((softwires.added, softwires.removed, softwires.changed), (1, 1, 1));
    assert_eq!(
        softwires.first,
        [
            format!("~ {} -> B4 {} BR {}", table()[0], moved.b4, moved.br),
            format!("- {}", table()[3]),
            format!("+ {new}"),
        ]
    );
    assert_eq!(Arc::as_ptr(&relay.editor.publisher().snapshots().load_full()), before);
    assert_eq!(relay.softwires(), table());

    assert_eq!(relay.reload(PLAIN).unwrap(), report);
    let snapshot = relay.editor.publisher().snapshots().load_full();
    assert_eq!(snapshot.settings.policy.hop_limit, 32);
    assert_eq!(relay.softwires(), [moved, table()[1], table()[2], new]);
}

#[test]
fn what_needs_a_restart_is_refused_by_name() {
    let mut relay = Relay::start();
    relay.change_config("net_null1", "net_null7");
    relay.change_config("[softwires]", "[workers]\ncpus = [1]\n[softwires]");
    let error = relay.reload(FORCE).unwrap_err();
    for words in ["internal.port", "net_null7", "workers.cpus", "restart"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let mut relay = Relay::start();
    relay.change_config("next-hop = \"192.0.2.254\"", "next-hop = \"198.51.100.1\"");
    let error = relay.reload(FORCE).unwrap_err();
    assert!(error.message.contains("lwaftr.toml:5: external.next-hop"), "{error}");
    std::fs::remove_file(&relay.path).unwrap();
    assert_eq!(relay.reload(FORCE).unwrap_err().kind, ErrorKind::Files);
    assert_eq!(relay.softwires(), table());
}

/// P1, Q2: ports are told at a reload; more is let in before the relay takes it, and a port that
/// cannot refuses the reload.
#[test]
fn q2_a_reload_takes_up_promiscuous_and_tells_the_ports() {
    use std::sync::Mutex;
    type Told = Arc<Mutex<Vec<(Side, bool)>>>;
    let steered = |relay: &mut Relay, broken: Option<(Side, bool)>| -> Told {
        let told = Told::default();
        let hears = Arc::clone(&told);
        relay.editor.steer_ports(Box::new(move |side, all| {
            hears.lock().unwrap().push((side, all));
            if broken == Some((side, all)) {
                Err("the port is stubborn".to_owned())
            } else {
                Ok(())
            }
        }));
        told
    };
    let takes = |relay: &Relay| {
        let snapshot = relay.editor.publisher().snapshots().load_full();
        let settings = &snapshot.settings;
        [settings.external.link.promiscuous, settings.internal.link.promiscuous]
    };
    let mut relay = Relay::start();
    let told = steered(&mut relay, None);
    relay.change_config("[internal]", "promiscuous = true\n[internal]\npromiscuous = true");
    let report = relay.reload(ReloadOptions::default()).unwrap();
    assert_eq!(
        report.settings,
        ["external.promiscuous: false -> true", "internal.promiscuous: false -> true"]
    );
    assert_eq!(takes(&relay), [true, true]);
    assert_eq!(*told.lock().unwrap(), [(Side::External, true), (Side::Internal, true)]);
    // What changes something else tells the ports nothing.
    relay.change_config("[softwires]", "mtu = 1400\n[softwires]");
    relay.reload(ReloadOptions::default()).unwrap();
    assert_eq!(told.lock().unwrap().len(), 2);
    // One that cannot be told to take less does no harm.
    let told = steered(&mut relay, Some((Side::Internal, false)));
    relay.change_config("[internal]\npromiscuous = true", "[internal]");
    relay.reload(ReloadOptions::default()).unwrap();
    assert_eq!(takes(&relay), [true, false]);
    assert_eq!(*told.lock().unwrap(), [(Side::Internal, false)]);
    // One that cannot be told to take more refuses the reload, and what runs goes on.
    relay.change_config("promiscuous = true\n[internal]", "[internal]");
    relay.reload(ReloadOptions::default()).unwrap();
    let told = steered(&mut relay, Some((Side::Internal, true)));
    relay.change_config("[internal]", "promiscuous = true\n[internal]\npromiscuous = true");
    let error = relay.reload(ReloadOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let said = "internal.promiscuous = true: the port is stubborn: leave it false";
    assert!(error.message.contains(said), "{error}");
    assert_eq!(takes(&relay), [false, false]);
    let expected = [(Side::External, true), (Side::Internal, true), (Side::External, false)];
    assert_eq!(*told.lock().unwrap(), expected);
}
