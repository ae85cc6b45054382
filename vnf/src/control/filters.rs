//! Filters of an instance run as machine code (Q1).

use crate::lwaftr::Filters;

/// Makes machine code of every filter. Where that cannot be, the filter is interpreted: its verdicts
/// are the same, and it is said in the log.
pub(crate) fn accelerate(filters: &mut Filters) {
    for (key, filter) in filters.each().filter(|(_, filter)| !filter.is_accelerated()) {
        match filter.accelerate() {
            Ok(bytes) => tracing::info!("{key}: {bytes} bytes of machine code"),
            Err(error) => tracing::warn!(
                "{key}: no memory for machine code ({error}): it is interpreted, which is slower"
            ),
        }
    }
}
