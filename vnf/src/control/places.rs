//! Who is connected to the control socket. When it is full, who has been silent longest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// The places of all connections.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
    /// A connection has ended, or waits for its next request.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// When it began to wait for a request; `None` while one is answered.
    waiting: Option<Instant>,
    must_go: Arc<Notify>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    must_go: Arc<Notify>,
}

impl Places {
    /// So many connections at the same time.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default(), changed: Notify::new() })
    }

    /// Waits until [`Self::take`] works: at once, unless all connections are being answered.
    pub(crate) async fn available(&self) {
        loop {
            {
                let taken = self.taken();
                if taken.connections.len() < self.limit || taken.longest_waiting().is_some() {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }

    /// A place for a connection; when none is free, that of the one that has waited longest.
    pub(crate) fn take(self: &Arc<Self>) -> Place {
        let mut taken = self.taken();
        if taken.connections.len() >= self.limit
            && let Some(number) = taken.longest_waiting()
            && let Some(connection) = taken.connections.remove(&number)
        {
            connection.must_go.notify_one();
        }
        let (number, must_go) = (taken.next, Arc::<Notify>::default());
        taken.next += 1;
        let connection =
            Connection { waiting: Some(Instant::now()), must_go: Arc::clone(&must_go) };
        taken.connections.insert(number, connection);
        Place { places: Arc::clone(self), number, must_go }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn longest_waiting(&self) -> Option<u64> {
        let waiting = self
            .connections
            .iter()
            .filter_map(|(&number, connection)| connection.waiting.map(|since| (since, number)));
        waiting.min().map(|(_, number)| number)
    }
}

impl Place {
    /// The connection waits for a request from now on, or is being answered.
    pub(crate) fn waits(&self, waits: bool) {
        if let Some(connection) = self.places.taken().connections.get_mut(&self.number) {
            connection.waiting = waits.then(Instant::now);
        }
        self.places.changed.notify_one();
    }

    /// Ready when another has got the place.
    pub(crate) async fn lost(&self) {
        self.must_go.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().connections.remove(&self.number);
        self.places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn who_waits_longest_makes_room_and_who_is_answered_does_not() {
        let places = Places::new(2);
        let (answered, silent) = (places.take(), places.take());
        answered.waits(false);
        places.available().await;
        let new = places.take();
        timeout(SOON, silent.lost()).await.expect("the silent one goes");
        assert!(timeout(SOON, answered.lost()).await.is_err());
        assert!(timeout(SOON, new.lost()).await.is_err());

        new.waits(false);
        assert!(timeout(SOON, places.available()).await.is_err(), "nobody can be sent away");
        drop(silent);
        assert!(timeout(SOON, places.available()).await.is_err(), "it had no place any more");
        drop(new);
        timeout(SOON, places.available()).await.expect("a place is free");
        assert!(timeout(SOON, answered.lost()).await.is_err());
    }
}
