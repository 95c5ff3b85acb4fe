//! What waits in memory for the file: revocations that the disk refused, uses of sessions, counts
//! of refusals. Nothing here knows SQL; the floors above write it.

pub(crate) mod counts;
pub(crate) mod denials;
pub(crate) mod uses;

/// What one process has yet to write.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) denials: denials::Denials,
    pub(crate) uses: uses::Uses,
    pub(crate) counts: counts::Counts,
}
