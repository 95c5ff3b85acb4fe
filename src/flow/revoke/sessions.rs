//! Revoke sessions: one, those of a user, of a place, or all.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Ended, Revocation};
use crate::record::audit::Written;
use crate::record::proof::Proof;
use crate::record::session::Sessions;
use crate::storage::{ReadTx, WriteTx};
use crate::value::id::SessionId;
use crate::value::principal::{Credential, Principal};
use crate::value::subtree::Subtree;
use crate::value::target::Target;

impl Sessions<'_> {
    /// Revokes one session by its handle (ASVS 7.4.5;
    /// [what revokes what](crate::manual::revocation)).
    ///
    /// When this call, or another one that revokes, returns, no verify in any process accepts the
    /// session: also if it was suspended, or expired by the clock of this process. A session that
    /// is not live is no error: the result is [`Ended::Before`]. Writes the file; waits up to 5 s
    /// for another writer.
    ///
    /// The handle may be of any user's session. If a caller chooses it, call
    /// [`revoke_own`](Self::revoke_own).
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
    /// assert_eq!(store.sessions().revoke(reply.session.id)?, Ended::Now);
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_err());
    /// assert_eq!(store.sessions().revoke(reply.session.id)?, Ended::Before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does. If the disk refuses the
    /// revocation, this process refuses the credentials from memory.
    #[doc(alias("kick", "invalidate", "end"))]
    pub fn revoke(&self, session: SessionId) -> Result<Ended> {
        let target = Target::Session(session);
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            self.revoke_one(tx, revocation, session)
        })
    }

    /// Revokes one session of the principal's own user by its handle: for a page on which users see
    /// their sessions (ASVS 7.4.3, 7.5.2).
    ///
    /// The session of another user and an unknown handle have the same result, [`Ended::Before`].
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
    /// let sessions = store.sessions();
    /// assert_eq!(sessions.revoke_own(&reply.principal, reply.session.id)?, Ended::Now);
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Sessions::revoke`], and:
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the principal's session or key is no
    ///   longer live.
    pub fn revoke_own(&self, principal: &Principal, session: SessionId) -> Result<Ended> {
        // Read first: a write that fails before the owner is known must not deny the session of
        // another user. The user of a session never changes.
        let own = self.store.read(|tx| {
            let live = self.store.still_live(tx, principal)?.principal;
            let proof = Proof::of(tx, Credential::Session(session))?;
            Ok(proof.filter(|proof| proof.user == live.user).map(|_| live))
        })?;
        let Some(live) = own else { return Ok(Ended::Before) };
        let target = Target::Session(session);
        self.store.in_session_of(&live).revoke(target, Cause::Asked, |tx, revocation| {
            self.store.still_live(tx, principal)?;
            self.revoke_one(tx, revocation, session)
        })
    }

    fn revoke_one(
        &self,
        tx: &WriteTx<'_>,
        revocation: &Revocation,
        session: SessionId,
    ) -> Result<Written<Ended>> {
        let credential = Credential::Session(session);
        let Some(proof) = Proof::of(tx, credential)? else {
            return Ok(Written::Nothing(Ended::Before));
        };
        let Some(ended) = Ended::of(&self.store.judge(credential, &proof, tx.now())) else {
            return Ok(Written::Nothing(Ended::Before));
        };
        revocation.apply(tx)?;
        Ok(Written::With(ended, revocation.event().user(proof.user)))
    }

    /// Revokes all sessions of the principal's user except its own, which keeps its token (ASVS
    /// 7.4.3; [what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::DeviceId;
    /// use gatepost::sessions::OpenSession;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let phone = DeviceId::new("phone")?;
    /// let other = store.sessions().open(OpenSession::new(ada, phone.clone()))?.granted()?;
    ///
    /// store.sessions().revoke_others(&reply.principal)?;
    /// assert!(store.verify((&other.session.token, &phone))?.valid().is_err());
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Sessions::revoke`], and:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for the principal of an API key;
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session is no longer live.
    pub fn revoke_others(&self, principal: &Principal) -> Result<()> {
        let Credential::Session(kept) = principal.credential else {
            return Err(Error::invalid(
                "revoke_others keeps the session of the principal, and this principal is an API \
                 key's",
            ));
        };
        let check_live = |tx: &ReadTx<'_>| self.store.still_live(tx, principal);
        // Read first: a write that fails before the owner is known must deny nothing.
        let live = self.store.read(check_live)?.principal;
        let target = Target::OtherSessions { user: principal.user, kept };
        self.store.in_session_of(&live).revoke(target, Cause::Asked, |tx, revocation| {
            check_live(tx)?;
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event()))
        })
    }

    /// Revokes all sessions under a subtree: of the store, an organisation, a branch or a user
    /// ([what revokes what](crate::manual::revocation)), and all one-time tokens there. One row
    /// changes, however many sessions there are. API keys stay.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// store.sessions().revoke_all(ada)?;
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_err());
    /// assert!(store.sessions().revoke_all(Subtree::Store).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`revoke`](Self::revoke), and:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, branch or organisation.
    #[doc(alias("kick", "invalidate", "end_all"))]
    pub fn revoke_all(&self, subtree: impl Into<Subtree>) -> Result<()> {
        let (target, missing) = match subtree.into() {
            Subtree::Store => (Target::Store, "the store has no row of its own"),
            Subtree::Organisation(id) => {
                (Target::Organisation(id), "there is no organisation of this id")
            }
            Subtree::Branch(id) => (Target::Branch(id), "there is no branch of this id"),
            Subtree::User(id) => (Target::User(id), "there is no user of this id"),
        };
        self.store.revoke(target, Cause::AllAsked, |tx, revocation| {
            if !revocation.apply(tx)? {
                return Err(Error::not_found(missing));
            }
            Ok(Written::With((), revocation.event()))
        })
    }
}
