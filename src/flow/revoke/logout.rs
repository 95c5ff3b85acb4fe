//! Log out: revoke the session of a token, in every process.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Ended};
use crate::flow::verify::session_token;
use crate::record::audit::Written;
use crate::record::proof::Proof;
use crate::spans;
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind};
use crate::value::presented::Presented;
use crate::value::principal::Credential;
use crate::value::target::Target;

impl Store {
    /// Revokes the session of this token on this device.
    ///
    /// When it returns, no verify in any process accepts the token (ASVS 7.4.1;
    /// [what revokes what](crate::manual::revocation)), and no late write makes it valid again. A
    /// session that was revoked or has expired before and a well-formed unknown token are no error:
    /// the result is [`Ended::Before`]. The same is true of a token that is presented with another
    /// device than its own: then nothing is revoked.
    ///
    /// Writes the file if there is something to revoke; waits up to 5 s for another writer.
    ///
    /// ```
    /// use gatepost::Ended;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let token = reply.session.token.expose();
    /// assert_eq!(store.log_out((token, &device))?, Ended::Now);
    /// assert!(store.verify((token, &device))?.valid().is_err());
    /// assert_eq!(store.log_out((token, &device))?, Ended::Before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text is not the token of a session.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory, and
    /// writes the revocation before anything else as soon as it can.
    #[doc(alias("logout", "signout"))]
    pub fn log_out<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Ended> {
        spans::span!("log_out");
        let presented = presented.into();
        let Some((parsed, id)) = session_token(presented.token()) else {
            return Err(Error::invalid(
                "log_out takes the token of a session, and this is none; api_keys().revoke ends \
                 an API key",
            ));
        };
        // Read first, so that a session that is already over takes no write lock.
        let found = self.presented(presented, || Some(parsed))?;
        if Ended::of(&found).is_none() {
            // A file that replaced the open one may have the session.
            self.core().storage.check_file()?;
            return Ok(Ended::Before);
        }
        let device = presented.device().map(DeviceDigest::of);
        let store = match &found {
            Ok(live) => self.in_session_of(&live.principal),
            Err(_) => self.clone(),
        };
        store.revoke(Target::Session(id), Cause::Asked, |tx, revocation| {
            let credential = Credential::Session(id);
            let Some(proof) = Proof::of(tx, credential)? else {
                return Ok(Written::Nothing(Ended::Before));
            };
            let found = self.decide(credential, &proof, &parsed, device.as_ref(), tx.now());
            let Some(ended) = Ended::of(&found) else {
                return Ok(Written::Nothing(Ended::Before));
            };
            revocation.apply(tx)?;
            let event = Event::new(EventKind::SessionLoggedOut)
                .user(proof.user)
                .session(id)
                .device(device);
            Ok(Written::With(ended, event))
        })
    }
}
