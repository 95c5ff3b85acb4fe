//! A signed-in user.
//!
//! The state is in memory, behind a mutex that is never kept while the store or the vault is asked.
//! Calls that change the token have the folder's turn from their first read to their last write.
//! The order of the writes decides what a crash leaves behind:
//!
//! - Sign-in, unlock and a change of the password write the store, then the saved token. In
//!   between, the token before it is saved, which the store refuses, or none.
//! - Sign-out writes the store, then deletes the saved token. In between, the store refuses it.
//! - A lock covers the seat in memory, then deletes the saved token. In between, the next start
//!   goes on with the session: the lock was not acknowledged.
//!
//! A token that the store refuses is deleted at the next start, which asks for the password.

mod account;
mod lock;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatepost::configuration::Configuration;
use gatepost::second_factors::RecoveryCodes;
use gatepost::{Ended, Permission, Principal, Profile, SessionId, Store, Timestamp};

use crate::desk::Desk;
use crate::error::{DeskError, Result};
use crate::folder::Turn;
use crate::vault::{SavedToken, VaultError, VaultKind};

/// A signed-in user, from sign-in to sign-out.
///
/// A clone is cheap, shows the same seat, and may be sent to another thread. Dropping a seat signs
/// no user out: the next [`Desk::resume`] goes on with the session.
///
/// When the session is over, every call fails with [`Ended`](DeskError::Ended) and the saved token
/// is deleted: ask for the password then. A session ends by sign-out, by a revocation in any
/// process, by its lifetime, or because another user signed in on this machine. A seat is also over
/// if another instance gave its session a new token and deleted that by a lock. While the seat is
/// locked, the calls that show or do something for the user fail with
/// [`Locked`](DeskError::Locked).
///
/// `state`, `touch` and `may` may be called on the thread that draws the window. The others write
/// the file or the vault, and may wait 5 s for another instance.
///
/// ```
/// use gatepost_desk::{DeskError, SeatState};
///
/// # let directory = tempfile::tempdir()?;
/// # let folder = gatepost_desk::Folder::at(directory.path())?;
/// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
/// # desk.first_administrator("ada", "lantern over wet slate")?;
/// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
/// assert!(seat.may("admin")?);
/// assert_eq!(seat.profile()?.user.username, "ada");
///
/// desk.store().sessions().revoke(seat.session())?; // By any process, for any reason.
/// assert!(matches!(seat.may("admin"), Err(DeskError::Ended)));
/// assert_eq!(seat.state()?, SeatState::Ended);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Seat(Arc<Inner>);

struct Inner {
    desk: Desk,
    session: SessionId,
    state: Mutex<State>,
}

/// Whether a seat is open to its user.
#[expect(clippy::exhaustive_enums, reason = "complete: a window has one view for each")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeatState {
    /// The user works.
    Open,
    /// The window is covered, and [`Seat::unlock`] opens it. The session goes on.
    Locked,
    /// The session is over: ask for the password.
    Ended,
}

/// Whether the next start finds the token of a seat.
#[expect(clippy::exhaustive_enums, reason = "complete: saved, not wanted, or failed")]
#[derive(Debug, Clone)]
pub enum Saved {
    /// It is saved in a vault of this kind.
    Yes(VaultKind),
    /// It is not saved: the seat is locked, or the user asked to be forgotten at the exit.
    NotWanted,
    /// The vault did not save it: the next start asks for the password. Show the user why.
    Failed(VaultError),
}

/// A session that the desk has just opened or resumed.
pub(crate) struct Taken {
    pub(crate) token: SavedToken,
    pub(crate) session: SessionId,
    pub(crate) principal: Principal,
    pub(crate) profile: Profile,
    /// `None` if the token is not to be saved.
    pub(crate) saved: Option<Result<VaultKind, VaultError>>,
    pub(crate) recovery_codes: Option<RecoveryCodes>,
}

struct State {
    view: SeatState,
    token: SavedToken,
    principal: Principal,
    profile: Profile,
    /// Whether the token is saved while the seat is open.
    keeps: bool,
    saved: Saved,
    /// Whether the saved token must still be deleted: of a locked seat, or of one that is over.
    unsave_is_due: bool,
    /// When the vault last failed to delete that of a locked seat.
    unsave_failed_at: Option<Timestamp>,
    recovery_codes: Option<RecoveryCodes>,
    last_touch: Timestamp,
}

impl Seat {
    pub(crate) fn new(desk: Desk, taken: Taken) -> Self {
        let Taken { token, session, principal, profile, saved, recovery_codes } = taken;
        let state = State {
            view: SeatState::Open,
            token,
            principal,
            profile,
            keeps: saved.is_some(),
            saved: Saved::from(saved),
            unsave_is_due: false,
            unsave_failed_at: None,
            recovery_codes,
            last_touch: desk.now(),
        };
        Self(Arc::new(Inner { desk, session, state: Mutex::new(state) }))
    }

    /// The user, branch, organisation, configuration and credits, as the file is now.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked) and [`Store`](DeskError::Store).
    pub fn profile(&self) -> Result<Profile> {
        let principal = self.open()?;
        match self.0.desk.profile(&principal)? {
            Some(profile) => {
                self.state_now().profile = profile.clone();
                Ok(profile)
            }
            None => Err(self.ended()),
        }
    }

    /// The public configuration of the user, as this seat last read it: at sign-in or resume, by
    /// [`profile`](Self::profile), [`state`](Self::state) or [`unlock`](Self::unlock). Also of a
    /// seat that is locked or over.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.state_now().profile.configuration.clone()
    }

    /// The name of the user, as this seat last read it: also for a lock screen.
    #[must_use]
    pub fn username(&self) -> String {
        self.state_now().profile.user.username.clone()
    }

    /// Whether the user has a privilege now, as [`Store::may`] answers it. It is a use of the
    /// session, and about as fast as a verify. It asks no vault: if the session is over,
    /// [`state`](Self::state) deletes the saved token.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked), and [`Store`](DeskError::Store):
    /// also if the name is not that of a privilege.
    pub fn may(&self, privilege: &str) -> Result<bool> {
        let principal = self.open()?;
        match self.0.desk.store().may(&principal, privilege)? {
            Permission::Granted => Ok(true),
            Permission::Denied => Ok(false),
            Permission::Ended => {
                self.mark_ended();
                Err(DeskError::Ended)
            }
        }
    }

    /// The store, acting as the user: the audit log names the user in what it does. Checks that
    /// the seat is open; ask for it again for each thing that the user does, since a store that is
    /// kept goes on after a lock and after the end.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked) and [`Store`](DeskError::Store).
    pub fn store(&self) -> Result<Store> {
        self.profile()?;
        let principal = self.state_now().principal;
        Ok(self.0.desk.store().acting_as(principal))
    }

    /// Moves the end of the session to its full lifetime from now, within the policy's maximum:
    /// for a program that keeps its user signed in while it is used. Returns the new end.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
    /// assert!(seat.renew()? >= seat.sessions()?[0].expires_at);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked), [`Busy`](DeskError::Busy),
    /// [`Vault`](DeskError::Vault) and [`Store`](DeskError::Store).
    pub fn renew(&self) -> Result<Timestamp> {
        self.open()?;
        let turn = self.0.desk.turn()?;
        let token = self.current_token(&turn)?;
        let desk = &self.0.desk;
        let renewed = desk.store().renew((token.expose(), desk.device()))?;
        renewed.valid().map_err(|_| self.ended_in(&turn))
    }

    /// Signs the user out: the session is over in every process when this returns, and the saved
    /// token is deleted. Does nothing if the session is over already. Works on a locked seat.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
    /// seat.sign_out()?;
    /// assert!(desk.resume()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`](DeskError::Busy) and [`Store`](DeskError::Store): the user is still signed in, and
    /// the token still saved. Try again.
    pub fn sign_out(&self) -> Result<()> {
        self.end_session().map(drop)
    }

    /// As [`sign_out`](Self::sign_out); returns whether the session had ended before.
    fn end_session(&self) -> Result<Ended> {
        let desk = &self.0.desk;
        let turn = desk.turn()?;
        let token = self.state_now().token.copy();
        let mut ended = Ended::Now;
        if desk.store().log_out((token.expose(), desk.device()))? == Ended::Before {
            // Another instance may have given the session another token.
            let principal = self.state_now().principal;
            ended = desk.store().acting_as(principal).sessions().revoke(self.0.session)?;
        }
        self.ended_in(&turn);
        Ok(ended)
    }

    /// Whether the next start finds the token of this seat.
    #[must_use]
    pub fn saved(&self) -> Saved {
        self.state_now().saved.clone()
    }

    /// The recovery codes of a second factor that was enrolled at this sign-in, once: show them.
    /// `None` while the seat is locked.
    #[must_use]
    pub fn take_recovery_codes(&self) -> Option<RecoveryCodes> {
        self.open().ok()?;
        self.state_now().recovery_codes.take()
    }

    /// The principal of an open seat. Locks the seat first if it is idle for too long.
    fn open(&self) -> Result<Principal> {
        self.lock_if_idle();
        let state = self.state_now();
        match state.view {
            SeatState::Open => Ok(state.principal),
            SeatState::Locked => Err(DeskError::Locked),
            SeatState::Ended => Err(DeskError::Ended),
        }
    }

    /// Marks the seat as over, and deletes its saved token once, without waiting.
    fn ended(&self) -> DeskError {
        self.mark_ended();
        if std::mem::take(&mut self.state_now().unsave_is_due) {
            self.0.desk.delete_if_over_now();
        }
        DeskError::Ended
    }

    /// As [`ended`](Self::ended), for a caller that has the turn.
    fn ended_in(&self, turn: &Turn) -> DeskError {
        self.mark_ended();
        self.state_now().unsave_is_due = false;
        self.0.desk.delete_if_over(turn);
        DeskError::Ended
    }

    fn mark_ended(&self) {
        let mut state = self.state_now();
        if state.view != SeatState::Ended {
            state.view = SeatState::Ended;
            state.saved = Saved::NotWanted;
            state.unsave_is_due = true;
        }
    }

    /// The token of this seat's session. Another instance that unlocked the session, or changed the
    /// password in it, has given it a new token, which it saved.
    ///
    /// A seat that is over stays over, also if its session goes on in another instance.
    fn current_token(&self, turn: &Turn) -> Result<SavedToken> {
        let desk = &self.0.desk;
        if self.state_now().view == SeatState::Ended {
            return Err(self.ended_in(turn));
        }
        let own = self.state_now().token.copy();
        if desk.verify(&own)?.is_some() {
            return Ok(own);
        }
        match desk.load()? {
            Some(saved) if self.adopts(&saved)? => Ok(saved),
            _ => Err(self.ended_in(turn)),
        }
    }

    /// Takes a saved token that is valid for this seat's session; whether it is.
    fn adopts(&self, saved: &SavedToken) -> Result<bool> {
        match self.0.desk.verify(saved)? {
            Some((session, principal)) if session == self.0.session => {
                let mut state = self.state_now();
                state.token = saved.copy();
                state.principal = principal;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn state_now(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saved {
    /// Whether the next start may find the token. A vault that is locked or absent saved nothing.
    fn may_be_there(&self) -> bool {
        match self {
            Self::Yes(_) => true,
            Self::NotWanted => false,
            Self::Failed(error) => {
                matches!(error, VaultError::NoAnswer | VaultError::Failed(_))
            }
        }
    }
}

impl From<Option<Result<VaultKind, VaultError>>> for Saved {
    fn from(saved: Option<Result<VaultKind, VaultError>>) -> Self {
        match saved {
            Some(Ok(kind)) => Self::Yes(kind),
            Some(Err(error)) => Self::Failed(error),
            None => Self::NotWanted,
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.state_now().view;
        f.debug_struct("Seat").field("state", &view).finish_non_exhaustive()
    }
}
