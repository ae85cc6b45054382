//! Who asks for a change, and from where: what the audit log and the history of bindings name.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Somebody, or something, that changes what an instance does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A user's name, or what acts by itself.
    pub who: String,
    /// The way the order came.
    pub from: String,
}

impl Actor {
    /// Somebody, and the way by which the order came, in words.
    #[must_use]
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Self {
        Self { who: who.into(), from: from.into() }
    }

    /// Whoever is at the other end of the control socket.
    #[must_use]
    pub fn peer(uid: u32, pid: Option<i32>) -> Self {
        Self::process(uid, pid, "control socket")
    }

    /// A process at the other end of a socket.
    #[must_use]
    pub fn process(uid: u32, pid: Option<i32>, socket: &str) -> Self {
        let who = match user_name(uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        };
        let pid = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        Self::new(who, format!("{socket}{pid}"))
    }

    /// Whoever may send us signals.
    #[must_use]
    pub fn signal() -> Self {
        Self::new("SIGHUP", "signal")
    }

    /// Whoever changed a file that is watched.
    #[must_use]
    pub fn watch() -> Self {
        Self::new("file watch", "changed files")
    }

    /// The instance itself.
    #[must_use]
    pub fn instance(why: &str) -> Self {
        Self::new("lwaftr", why)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.who, self.from)
    }
}

/// What somebody wants to be done.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Who wants it.
    pub actor: &'a Actor,
    /// What kind of change it is, in a word.
    pub action: &'a str,
    /// It is to be undone unless it is confirmed so soon.
    pub confirm_within: Option<Duration>,
}

impl<'a> Order<'a> {
    /// An order that counts at once.
    #[must_use]
    pub fn new(actor: &'a Actor, action: &'a str) -> Self {
        Self { actor, action, confirm_within: None }
    }
}

/// The name that /etc/passwd has for a user now.
pub(super) fn user_name(uid: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
