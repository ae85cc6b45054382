//! Reloading over and over while workers are measured: as an instance reloads, from the files.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::config;
use crate::control::{ControlError, Publisher};
use crate::lwaftr::Settings;

/// Loads, builds and publishes until told to stop; returns how often. What is replaced is freed as
/// soon as no worker holds it, but not before.
pub(super) fn reload_until(
    stop: &AtomicBool,
    publisher: &mut Publisher,
    path: &Path,
    settings: &Settings,
) -> Result<usize, ControlError> {
    let mut reloads = 0;
    while !stop.load(Relaxed) {
        let (_, writer) = config::load_with_table(path)
            .map_err(|errors| ControlError::refused(errors.to_string()))?;
        publisher.publish(settings.clone(), writer);
        reloads += 1;
        while publisher.collect(false) > 0 && !stop.load(Relaxed) {
            std::thread::yield_now();
        }
    }
    Ok(reloads)
}

/// Does something over and over on another thread while `work` goes on; returns what both say.
pub(super) fn meanwhile<R: Send, W>(
    again: impl FnOnce(&AtomicBool) -> Result<R, ControlError> + Send,
    work: impl FnOnce() -> Result<W, ControlError>,
) -> Result<(W, R), ControlError> {
    /// Says stop, also when the work broke down.
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| again(&stop));
        let done = {
            let _stop = Stop(&stop);
            work()
        };
        let broken = |_| ControlError::internal("reloading broke down; its last words are above");
        Ok((done?, other.join().map_err(broken)??))
    })
}
