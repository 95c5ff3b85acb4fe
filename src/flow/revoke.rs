//! What ends what: the one table, and the one place that ends sessions.
//!
//! Ending all sessions of anything is one UPDATE that raises a watermark, whatever their number.
//! A session's own row is touched by its id alone.

use crate::denied::Whom;
use crate::error::{Error, Result};
use crate::flow::verify::Decision;
use crate::record::audit::Written;
use crate::record::proof::{Holder, Proof};
use crate::record::session::{self, Sessions};
use crate::record::watermarks::{Ends, Watermarks};
use crate::record::{branch, organisation, store, user};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::facts::{Facts, RefusalReason};
use crate::value::id::{BranchId, OrganisationId, SessionId, UserId};

/// What ending a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use]
pub enum Ended {
    /// It has ended now.
    Now,
    /// There was no live session to end: it had ended before, or was never known.
    Before,
}

/// Why credentials end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The user changed the own password; the session in hand is renewed afterwards.
    OwnPasswordChange,
    /// Somebody else set or removed the password, or marked it compromised.
    PasswordSetByOther,
    /// A change is demanded at the next login, and the sessions shall end until then.
    ChangeDemanded,
    /// Locked by an administrator, disabled, or made pending again.
    UserSuspended,
    /// The user was deleted.
    UserDeleted,
    /// The username or the e-mail address changed, or was confirmed once more.
    ContactChanged,
    /// The account was confirmed for the first time: whoever had it before was not known to be
    /// its owner.
    FirstConfirmed,
    /// A branch or organisation was made inactive.
    PlaceSuspended,
    /// Somebody asked for the sessions to end, and for nothing else.
    Asked,
}

impl Cause {
    /// The table of the manual, row by row. API keys are suspended by statuses, which verify reads;
    /// only a deletion ends them.
    pub(crate) const fn ends(self) -> Ends {
        let (sessions, keys, tokens) = match self {
            Self::OwnPasswordChange | Self::PasswordSetByOther => (true, false, true),
            Self::ChangeDemanded | Self::Asked => (true, false, false),
            Self::UserSuspended | Self::PlaceSuspended => (true, false, true),
            Self::FirstConfirmed => (true, false, true),
            Self::UserDeleted => (true, true, true),
            Self::ContactChanged => (false, false, true),
        };
        Ends { sessions, keys, tokens }
    }

    /// The watermarks for the next UPDATE of this transaction.
    pub(crate) fn watermarks(self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        Watermarks::raise(tx, self.ends())
    }
}

/// What an end of a session comes to that was found like this; none if the file alone says that
/// it is over, whatever any clock shows.
///
/// One that is out of time for this process may not be for another, whose clock is behind or which
/// has seen a use that is not written yet; one that is suspended would come back. So it is not
/// left in the file.
pub(crate) fn ended_by(found: &Decision) -> Option<Ended> {
    match found {
        Ok(_) | Err(RefusalReason::Suspended | RefusalReason::NotYet) => Some(Ended::Now),
        Err(RefusalReason::Expired | RefusalReason::Idle) => Some(Ended::Before),
        Err(
            RefusalReason::Malformed
            | RefusalReason::Unknown
            | RefusalReason::WrongDevice
            | RefusalReason::Revoked,
        ) => None,
    }
}

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
        self.store.end(Whom::Session(session), Cause::Asked, |tx| self.end_one(tx, session))
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
        // Looked at first: what fails before it is known whose it is must not refuse a stranger's.
        // A session never changes hands.
        let own = self.store.read(|tx| {
            let user = self.store.still_live(tx, facts)?.facts.user;
            let proof = Proof::of(tx, Holder::Session(session))?;
            Ok(proof.is_some_and(|proof| proof.user == user))
        })?;
        if !own {
            return Ok(Ended::Before);
        }
        self.store.end(Whom::Session(session), Cause::Asked, |tx| {
            self.store.still_live(tx, facts)?;
            self.end_one(tx, session)
        })
    }

    fn end_one(&self, tx: &WriteTx<'_>, session: SessionId) -> Result<Written<Ended>> {
        let holder = Holder::Session(session);
        let Some(proof) = Proof::of(tx, holder)? else {
            return Ok(Written::Nothing(Ended::Before));
        };
        let Some(ended) = ended_by(&self.store.judge(holder, &proof, tx.now())) else {
            return Ok(Written::Nothing(Ended::Before));
        };
        session::delete(tx, session)?;
        let event = Event::new(EventKind::SessionEnded).user(proof.user).session(session);
        Ok(Written::With(ended, event))
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
        self.store.end(Whom::Others(facts.user, kept), Cause::Asked, |tx| {
            let holder = Holder::Session(kept);
            let live = Proof::of(tx, holder)?
                .and_then(|proof| self.store.judge(holder, &proof, tx.now()).ok())
                .ok_or_else(|| Error::not_found("the session has ended or never was"))?;
            let user = live.facts.user;
            user::raise(tx, user, Cause::Asked.watermarks(tx)?)?;
            session::keep(tx, kept)?;
            let event = Event::new(EventKind::SessionOthersEnded).user(user).session(kept);
            Ok(Written::With((), event))
        })
    }

    /// Ends all sessions of a user, whatever their number.
    ///
    /// # Errors
    /// `NotFound` if there is no such user; otherwise as [`Sessions::end`].
    pub fn end_all_of(&self, user: UserId) -> Result<()> {
        self.store.end(Whom::User(user), Cause::Asked, |tx| {
            if !user::raise(tx, user, Cause::Asked.watermarks(tx)?)? {
                return Err(Error::not_found("there is no such user"));
            }
            Ok(Written::With((), Event::new(EventKind::UserSessionsEnded).user(user)))
        })
    }

    /// Ends all sessions of all users of a branch.
    ///
    /// # Errors
    /// `NotFound` if there is no such branch; otherwise as [`Sessions::end`].
    pub fn end_all_of_branch(&self, branch: BranchId) -> Result<()> {
        self.store.end(Whom::Branch(branch), Cause::Asked, |tx| {
            if !branch::raise(tx, branch, Cause::Asked.watermarks(tx)?)? {
                return Err(Error::not_found("there is no such branch"));
            }
            Ok(Written::With((), Event::new(EventKind::BranchSessionsEnded).branch(branch)))
        })
    }

    /// Ends all sessions of all users of all branches of an organisation.
    ///
    /// # Errors
    /// `NotFound` if there is no such organisation; otherwise as [`Sessions::end`].
    pub fn end_all_of_organisation(&self, organisation: OrganisationId) -> Result<()> {
        self.store.end(Whom::Organisation(organisation), Cause::Asked, |tx| {
            if !organisation::raise(tx, organisation, Cause::Asked.watermarks(tx)?)? {
                return Err(Error::not_found("there is no such organisation"));
            }
            let event = Event::new(EventKind::OrganisationSessionsEnded);
            Ok(Written::With((), event.organisation(organisation)))
        })
    }

    /// Ends all sessions of the store.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub fn end_all(&self) -> Result<()> {
        self.store.end(Whom::Everyone, Cause::Asked, |tx| {
            store::raise(tx, Cause::Asked.watermarks(tx)?)?;
            Ok(Written::With((), Event::new(EventKind::StoreSessionsEnded)))
        })
    }
}
