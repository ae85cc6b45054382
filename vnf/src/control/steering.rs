//! What ports are told anew while they run: whether frames to any MAC address are to come in (P1).
//! All else that a port is set up with stays as it is until a restart.

use super::error::ControlError;
use crate::config::Config;
use crate::side::Side;

/// Tells the port of a side, or the one that both share, to take frames to any MAC address, or only
/// ours; or what is in the way.
pub type TakeAll = Box<dyn Fn(Side, bool) -> Result<(), String> + Send + Sync>;

/// The ports, as far as they are told anything anew.
pub(super) struct Steering(TakeAll);

impl std::fmt::Debug for Steering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steering")
    }
}

impl Default for Steering {
    /// Without ports.
    fn default() -> Self {
        Self(Box::new(|_, _| Ok(())))
    }
}

impl Steering {
    pub(super) fn new(take_all: TakeAll) -> Self {
        Self(take_all)
    }

    /// Opens the ports that are to take more than before. What cannot be opened is refused, and
    /// whatever was is closed again.
    pub(super) fn open(&self, old: &Config, new: &Config) -> Result<(), ControlError> {
        let mut opened = Vec::new();
        for side in changed(old, new, true) {
            if let Err(error) = (self.0)(side, true) {
                opened.into_iter().for_each(|side| self.close_one(side, new));
                return Err(ControlError::refused(format!(
                    "{}:{side}.promiscuous = true: {error}: leave it false, or use a port that can",
                    new.path.display()
                )));
            }
            opened.push(side);
        }
        Ok(())
    }

    /// Closes the ports that are to take less than before. One that cannot does no harm: the relay
    /// looks at each address itself.
    pub(super) fn close(&self, old: &Config, new: &Config) {
        changed(old, new, false).for_each(|side| self.close_one(side, new));
    }

    fn close_one(&self, side: Side, config: &Config) {
        if let Err(error) = (self.0)(side, false) {
            let path = config.path.display();
            tracing::warn!(
                "{path}: {side}.promiscuous = false: {error}: the port goes on to take frames to \
                 others, which are dropped as not-our-mac"
            );
        }
    }
}

/// Does a side's port have to take frames to any MAC address? A shared port does what both need.
pub(super) fn takes_all(config: &Config) -> [bool; 2] {
    let (external, internal) = (&config.external, &config.internal);
    if config.on_a_stick() {
        // One port has one address to filter by; the relay looks at the other itself.
        let two_macs = external.mac != internal.mac;
        return [external.promiscuous || internal.promiscuous || two_macs; 2];
    }
    [external.promiscuous, internal.promiscuous]
}

/// The ports, each by one side, that now take all, or no longer do.
fn changed(old: &Config, new: &Config, to: bool) -> impl Iterator<Item = Side> {
    let (before, after) = (takes_all(old), takes_all(new));
    let ports: &[Side] = if new.on_a_stick() { &[Side::External] } else { &Side::BOTH };
    ports.iter().copied().filter(move |side| {
        before[side.index()] != after[side.index()] && after[side.index()] == to
    })
}
