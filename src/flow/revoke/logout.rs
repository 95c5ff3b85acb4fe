//! Log out: the holder of a token revokes its session, at once and everywhere.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Ended};
use crate::flow::verify::session_token;
use crate::record::audit::Written;
use crate::record::proof::{Holder, Proof};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind};
use crate::value::name::DeviceId;
use crate::value::target::Target;

impl Store {
    /// Ends the session of this token on this device.
    ///
    /// When it returns, no verify in any process accepts the token any more, and no late write
    /// brings it back. A session that has already ended, or a well-formed token nobody knows, is
    /// fine and says so.
    ///
    /// Writes the file if there is something to end; waits up to 5 s for another writer.
    ///
    /// # Errors
    /// `Invalid` for what is not a session's token; the store could not tell: `Busy`, `Corrupt`,
    /// `Closed`. After `Full`, `Io`, `ReadOnly` and `CommitUnknown` the file does not hold the
    /// revocation, or perhaps not: this process refuses the token all the same, and writes the
    /// revocation before anything else as soon as it can.
    ///
    /// ```
    /// use gatepost::{DeviceId, Ended, NewUser, OpenSession, Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let device = DeviceId::new("till-1")?;
    /// let reply = store.sessions().open(OpenSession::new(ada.id, device.clone()))?.granted()?;
    /// let token = reply.session.token.expose();
    ///
    /// assert_eq!(store.log_out(token, &device)?, Ended::Now);
    /// assert!(store.verify(token, &device)?.valid().is_err());
    /// assert_eq!(store.log_out(token, &device)?, Ended::Before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_out<'d>(
        &self,
        token: &str,
        device: impl Into<Option<&'d DeviceId>>,
    ) -> Result<Ended> {
        let Some((parsed, id)) = session_token(token) else {
            return Err(Error::invalid("this is not the token of a session"));
        };
        let device = device.into();
        // Looked at first, so that what is already over takes no write lock.
        if Ended::of(&self.presented(token, device)?).is_none() {
            return Ok(Ended::Before);
        }
        let device = device.map(DeviceDigest::of);
        self.revoke(Target::Session(id), Cause::Asked, |tx, revocation| {
            let holder = Holder::Session(id);
            let Some(proof) = Proof::of(tx, holder)? else {
                return Ok(Written::Nothing(Ended::Before));
            };
            let found = self.decide(holder, &proof, &parsed, device.as_ref(), tx.now());
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
