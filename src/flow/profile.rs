//! Read the profile of a live session or API key.

use crate::error::{Error, ErrorKind, Result};
use crate::flow::login::{Profile, profile};
use crate::flow::verify::Live;
use crate::record::proof::{self, Proof};
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::principal::Principal;

impl Store {
    /// Returns the profile of a verified session or API key: everything in a login reply except the
    /// session, as the file is now.
    ///
    /// Checks again that the session or key is live. Reads the file several times in one snapshot.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// assert_eq!(store.profile(&principal)?.user.username, "ada");
    ///
    /// store.log_out((&reply.session.token, &device))?;
    /// assert!(store.profile(&principal).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key is no longer live.
    pub fn profile(&self, principal: &Principal) -> Result<Profile> {
        self.read(|tx| {
            let live = self.still_live(tx, principal)?;
            profile(tx, self, live.principal.user)
        })
    }

    /// The live session or key of this principal, read again.
    ///
    /// # Errors
    /// `SessionEnded` if it is no longer live, or is not the one of the principal's user.
    pub(crate) fn still_live(&self, tx: &ReadTx<'_>, principal: &Principal) -> Result<Live> {
        self.still_proven(tx, principal).map(|(live, _)| live)
    }

    /// As [`still_live`](Self::still_live), with the row that proves it.
    pub(crate) fn still_proven(
        &self,
        tx: &ReadTx<'_>,
        principal: &Principal,
    ) -> Result<(Live, Proof)> {
        let credential = principal.credential;
        let denials = &self.core().pending.denials;
        let known = denials.known();
        let proof = Proof::of(tx, credential)?.ok_or_else(ended)?;
        let live = self.judge(credential, &proof, tx.now()).map_err(|_| ended())?;
        // The fields of a principal are public: a host can write another user into it, whom the
        // audit log would then name.
        if live.principal.user != principal.user {
            return Err(ended());
        }
        if !known.is_empty() {
            let lineage = proof::lineage(tx, credential)?.ok_or_else(ended)?;
            let own = proof::actor_session(tx, &live.principal)?;
            // As the row has it: the user may have been moved since the principal was made.
            let is_denied = |one: &Principal| known.cover(one, &lineage, tx.now());
            if is_denied(&live.principal) || own.as_ref().is_some_and(is_denied) {
                return Err(ended());
            }
        }
        Ok((live, proof))
    }
}

fn ended() -> Error {
    let what = "the session or API key of the principal is no longer live";
    Error::new(ErrorKind::SessionEnded, what)
}
