//! What the denials of this process refuse although the file does not say so yet.

use crate::error::Result;
use crate::pending::denials::Known;
use crate::record::proof::{self, Proof};
use crate::storage::{Row, params};
use crate::store::Store;
use crate::value::id::SessionId;
use crate::value::limits;
use crate::value::principal::{Credential, Principal};
use crate::value::target::Lineage;

impl Store {
    /// Whether a denial covers the credential of this principal, or what it was made from.
    #[cold]
    pub(crate) fn is_denied(&self, principal: &Principal, known: &[Known]) -> Result<bool> {
        let lineage = match principal.credential {
            Credential::Session(_) => Lineage::default(),
            Credential::ApiKey(id) => {
                let storage = &self.core().storage;
                let wait = limits::VERIFY_REREAD_WAIT;
                let map = |row: &Row<'_>| Ok((proof::lineage_of_row(row)?, row.get(2)?));
                match storage.select_one(wait, proof::LINEAGE_SQL, params![id], map)? {
                    Some(lineage) => lineage,
                    // Deleted since it was found.
                    None => return Ok(true),
                }
            }
        };
        let now = self.now();
        if known.iter().any(|known| known.cover(principal, &lineage, now)) {
            return Ok(true);
        }
        match (principal.is_impersonated, principal.credential.session()) {
            (true, Some(session)) => match self.actor_session(session)? {
                Some(own) => self.is_denied(&own, known),
                // Deleted since it was found.
                None => Ok(true),
            },
            _ => Ok(false),
        }
    }

    /// The administrator's own session that an impersonation was opened from.
    fn actor_session(&self, session: SessionId) -> Result<Option<Principal>> {
        let (storage, wait) = (&self.core().storage, limits::VERIFY_REREAD_WAIT);
        let own: Option<Option<SessionId>> =
            storage.select_one(wait, proof::ACTOR_SQL, params![session], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some(own) = own.flatten().map(Credential::Session) else { return Ok(None) };
        let found =
            storage.select_one(wait, proof::sql(own), params![own.id()], Proof::with_reader)?;
        Ok(found.map(|proof| proof.principal(own)))
    }
}
