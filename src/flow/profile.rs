//! The profile of a live session or key, read again.

use crate::error::{Error, Result};
use crate::flow::login::{Profile, profile};
use crate::flow::verify::Live;
use crate::record::proof::{Holder, Proof};
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::facts::Facts;

impl Store {
    /// Everything that a login reply says but the token, as it stands now, for the session or key
    /// that a verify has found.
    ///
    /// Checks afresh that it is live. Reads the file several times on one snapshot.
    ///
    /// # Errors
    /// `NotFound` if the session or key is not live any more, `Invalid` for facts that name
    /// neither; `Busy`, `Io`, `Corrupt`, `Closed`.
    pub fn profile(&self, facts: &Facts) -> Result<Profile> {
        self.read(|tx| {
            let live = self.still_live(tx, facts)?;
            profile(tx, self, live.facts.user)
        })
    }

    /// The session or key of these facts, read afresh.
    ///
    /// # Errors
    /// `NotFound` if it is not live any more, `Invalid` for facts that name neither.
    pub(crate) fn still_live(&self, tx: &ReadTx<'_>, facts: &Facts) -> Result<Live> {
        let holder = match (facts.session, facts.api_key) {
            (Some(session), _) => Holder::Session(session),
            (None, Some(key)) => Holder::ApiKey(key),
            (None, None) => return Err(Error::invalid("these facts name no session and no key")),
        };
        let denials = &self.core().pending.denials;
        if denials.known().cover(facts, || tx.now()) {
            return Err(Error::not_found("the session or key has ended"));
        }
        Proof::of(tx, holder)?
            .and_then(|proof| self.judge(holder, &proof, tx.now()).ok())
            .ok_or_else(|| Error::not_found("the session or key has ended"))
    }
}
