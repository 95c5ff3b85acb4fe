//! Spans and events for the crate `tracing` (feature `tracing`). Without the feature, each of these
//! compiles to nothing.
//!
//! A span has a name and no field. An event has the fields listed here: names and reasons from
//! closed lists, counts, and ids, which are safe to show; never a text that a person typed or that
//! the host gave.

use crate::error::Error;
use crate::value::event::AuditEntry;

/// Enters a span of that name until the end of the block.
macro_rules! span {
    ($name:literal) => {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!(target: "gatepost", $name).entered();
    };
}
pub(crate) use span;

/// Whether a subscriber asks for the rows of the audit log.
pub(crate) fn are_rows_wanted() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::enabled!(target: "gatepost", tracing::Level::INFO);
    #[cfg(not(feature = "tracing"))]
    false
}

/// A row of the audit log was committed.
pub(crate) fn committed(entry: &AuditEntry) {
    #[cfg(feature = "tracing")]
    {
        use tracing::field::display as shown;
        tracing::info!(
            target: "gatepost",
            seq = entry.seq,
            event = entry.event,
            outcome = entry.outcome.as_str(),
            reason = entry.reason,
            count = entry.count,
            actor = entry.actor.as_str(),
            actor_user = entry.actor.user().map(shown),
            user = entry.user.map(shown),
            branch = entry.branch.map(shown),
            organisation = entry.organisation.map(shown),
            session = entry.session.map(shown),
            api_key = entry.api_key.map(shown),
            "committed"
        );
    }
    #[cfg(not(feature = "tracing"))]
    let _ = entry;
}

/// A login or a token was refused, which leaves no row of its own or one that says the same.
pub(crate) fn refused(what: &'static str, reason: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "gatepost", what, reason, "refused");
    #[cfg(not(feature = "tracing"))]
    let _ = (what, reason);
}

/// A read or a write of the file failed.
pub(crate) fn failed(what: &'static str, error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "gatepost", what, kind = ?error.kind(), "failed");
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}
