//! Revoke sessions: one, those of a user, of a place, or all.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Ended, Revocation};
use crate::record::audit::Written;
use crate::record::proof::{Holder, Proof};
use crate::record::session::Sessions;
use crate::storage::{ReadTx, WriteTx};
use crate::value::facts::Facts;
use crate::value::id::{BranchId, OrganisationId, SessionId, UserId};
use crate::value::target::Target;

impl Sessions<'_> {
    /// Ends one session by its handle.
    ///
    /// When this and each of its neighbours returns, no verify in any process accepts what it
    /// ended: not even if the session was suspended, or out of time by the clock of this process.
    /// Writes the file; waits up to 5 s for another writer.
    ///
    /// # Errors
    /// `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after which what
    /// should have ended is refused by this process all the same. A session that is not live is
    /// fine and says so.
    pub fn end(&self, session: SessionId) -> Result<Ended> {
        let target = Target::Session(session);
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            self.revoke_one(tx, revocation, session)
        })
    }

    /// Ends one session of the user whose facts these are, by its handle: for a list of one's own
    /// sessions, from which the handle comes back.
    ///
    /// The session of another user and one that nobody has are answered alike, as over before.
    ///
    /// # Errors
    /// `NotFound` if the session or key of these facts is not live any more, `Invalid` for facts
    /// that name neither; otherwise as [`Sessions::end`].
    pub fn end_own(&self, facts: &Facts, session: SessionId) -> Result<Ended> {
        // Looked at first: a write that fails before the owner is known must not deny the session
        // of another user. A session never changes hands.
        let own = self.store.read(|tx| {
            let user = self.store.still_live(tx, facts)?.facts.user;
            let proof = Proof::of(tx, Holder::Session(session))?;
            Ok(proof.is_some_and(|proof| proof.user == user))
        })?;
        if !own {
            return Ok(Ended::Before);
        }
        let target = Target::Session(session);
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            self.store.still_live(tx, facts)?;
            self.revoke_one(tx, revocation, session)
        })
    }

    fn revoke_one(
        &self,
        tx: &WriteTx<'_>,
        revocation: &Revocation,
        session: SessionId,
    ) -> Result<Written<Ended>> {
        let holder = Holder::Session(session);
        let Some(proof) = Proof::of(tx, holder)? else {
            return Ok(Written::Nothing(Ended::Before));
        };
        let Some(ended) = Ended::of(&self.store.judge(holder, &proof, tx.now())) else {
            return Ok(Written::Nothing(Ended::Before));
        };
        revocation.apply(tx)?;
        Ok(Written::With(ended, revocation.event().user(proof.user)))
    }

    /// Ends all sessions of a user but the one of these facts, which keeps its token.
    ///
    /// # Errors
    /// `Invalid` for the facts of an API key, `NotFound` if the session is not live any more;
    /// otherwise as [`Sessions::end`].
    pub fn end_others(&self, facts: &Facts) -> Result<()> {
        let Some(kept) = facts.session else {
            return Err(Error::invalid("these facts name no session to keep"));
        };
        let check_live = |tx: &ReadTx<'_>| {
            let user = self.store.still_live(tx, facts)?.facts.user;
            // A host can write another user into the facts.
            if user == facts.user {
                Ok(())
            } else {
                Err(Error::not_found("the facts name another user"))
            }
        };
        // Looked at first: a write that fails before the owner is known must deny nothing.
        self.store.read(check_live)?;
        let target = Target::OtherSessions { user: facts.user, kept };
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            check_live(tx)?;
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event()))
        })
    }

    /// Ends all sessions of a user, whatever their number.
    ///
    /// # Errors
    /// `NotFound` if there is no such user; otherwise as [`Sessions::end`].
    pub fn end_all_of(&self, user: UserId) -> Result<()> {
        self.revoke_all(Target::User(user), "there is no such user")
    }

    /// Ends all sessions of all users of a branch.
    ///
    /// # Errors
    /// `NotFound` if there is no such branch; otherwise as [`Sessions::end`].
    pub fn end_all_of_branch(&self, branch: BranchId) -> Result<()> {
        self.revoke_all(Target::Branch(branch), "there is no such branch")
    }

    /// Ends all sessions of all users of all branches of an organisation.
    ///
    /// # Errors
    /// `NotFound` if there is no such organisation; otherwise as [`Sessions::end`].
    pub fn end_all_of_organisation(&self, organisation: OrganisationId) -> Result<()> {
        self.revoke_all(Target::Organisation(organisation), "there is no such organisation")
    }

    /// Ends all sessions of the store.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub fn end_all(&self) -> Result<()> {
        self.revoke_all(Target::Store, "the store has no row of its own")
    }

    fn revoke_all(&self, target: Target, missing: &'static str) -> Result<()> {
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            if !revocation.apply(tx)? {
                return Err(Error::not_found(missing));
            }
            Ok(Written::With((), revocation.event()))
        })
    }
}
