//! One row of the audit log, as its readers and an observer receive it.

use super::{Actor, ClientInfo, EventKind, Outcome};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

/// One row of the audit log: who did what to whom, when and from where (ASVS 16.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AuditEntry {
    /// The number of the row; all sources share one sequence without gaps.
    pub seq: i64,
    /// Identifies the row in every history of the file: its number, a dash and 16 hexadecimal
    /// digits of its hash. Two rows of one `id` are the same row, so a program that receives rows
    /// more than once drops duplicates by it.
    pub id: String,
    /// Whether the host recorded the row; otherwise the library did.
    pub from_host: bool,
    /// When the event happened, by the store's clock.
    pub at: Timestamp,
    /// The event: the name of an [`EventKind`], or the host's own name.
    pub event: String,
    /// Whether it succeeded or was refused.
    pub outcome: Outcome,
    /// The actor: the host, a user, a session or an API key.
    pub actor: Actor,
    /// The user that the event concerns.
    pub user: Option<UserId>,
    /// The branch that it concerns.
    pub branch: Option<BranchId>,
    /// The organisation that it concerns.
    pub organisation: Option<OrganisationId>,
    /// The session that it concerns.
    pub session: Option<SessionId>,
    /// The API key that it concerns.
    pub api_key: Option<ApiKeyId>,
    /// Where the request came from, if the host gave it.
    pub client_info: Option<ClientInfo>,
    /// Why it was refused, or which rule applied.
    pub reason: Option<String>,
    /// How many rows, credits or refusals the event covers, where it counts.
    pub count: Option<i64>,
    /// One more line of text.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// The kind of the event; `None` if the host recorded it under a name of its own, or if a newer
    /// version of the library did.
    ///
    /// ```
    /// use gatepost::audit::{AuditFilter, EventKind};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let newest = &store.audit().latest(1, &AuditFilter::new())?[0];
    /// assert_eq!(newest.kind(), Some(EventKind::StoreCreated));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> Option<EventKind> {
        EventKind::from_name(&self.event).filter(|_| !self.from_host)
    }
}
