//! Says in the log when a port's link goes down and when it is up again.

use std::convert::Infallible;
use std::time::Duration;

use crate::dpdk::PortMonitor;

/// How often links are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// One port's link.
#[derive(Debug)]
struct Watched {
    name: String,
    up: bool,
}

/// What is new about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Down,
    UpAgain,
}

impl Watched {
    /// A link; one that is down from the beginning is news as well.
    fn new(name: String) -> Self {
        Self { name, up: true }
    }

    fn look(&mut self, up: bool) -> Option<News> {
        let before = std::mem::replace(&mut self.up, up);
        match (before, up) {
            (true, false) => Some(News::Down),
            (false, true) => Some(News::UpAgain),
            _ => None,
        }
    }
}

/// Looks at the links of these ports, by their names in the configuration, for ever.
pub(super) async fn watch(ports: Vec<(String, PortMonitor)>) -> Infallible {
    let mut ports: Vec<_> =
        ports.into_iter().map(|(name, monitor)| (Watched::new(name), monitor)).collect();
    loop {
        for (link, monitor) in &mut ports {
            // A closed port is one of an instance that stops.
            let Some(reading) = monitor.read() else { continue };
            match link.look(reading.link.up) {
                Some(News::Down) => tracing::warn!("port {}: the link is down", link.name),
                Some(News::UpAgain) => tracing::info!("port {}: the link is up again", link.name),
                None => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let mut link = Watched::new("external".to_owned());
        let looks = [true, false, false, true, true].map(|up| link.look(up));
        assert_eq!(looks, [None, Some(News::Down), None, Some(News::UpAgain), None]);
        let mut dark = Watched::new("internal".to_owned());
        assert_eq!(dark.look(false), Some(News::Down));
    }
}
