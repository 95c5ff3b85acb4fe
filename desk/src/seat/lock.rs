//! The idle lock: cover the window and keep the session.

use std::time::Duration;

use gatepost::sessions::{Assurance, Reauthentication};
use gatepost::{Error, LoginOutcome, LoginRefusal, LoginReply, Timestamp};

use crate::desk::Desk;
use crate::error::{DeskError, Result};
use crate::folder::Turn;
use crate::outcome::Outcome;
use crate::seat::{Saved, Seat, SeatState, State};
use crate::vault::SavedToken;

/// The time after which [`Seat::state`] asks a vault again that did not delete a token: a vault
/// that is silent takes 5 s, in which the window is not drawn.
const UNSAVE_PAUSE: Duration = Duration::from_secs(30);

/// Whether a call opens a locked seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Yes,
    No,
}

impl Seat {
    /// The state of the seat, for the window to draw. Call it by a timer, about once a second: it
    /// notices a session that was ended elsewhere, locks a seat that is idle for too long, and
    /// reads the configuration again. It reads the file, waits for no writer, and is no use of the
    /// session, so that an inactivity timeout goes on. At the call that locks the seat, or is the
    /// first after the session ended, it also deletes the saved token, and waits for the vault; a
    /// locked seat asks a vault that failed again after 30 s.
    ///
    /// # Errors
    /// [`Store`](DeskError::Store): the store could not answer, and the state is the last one.
    pub fn state(&self) -> Result<SeatState> {
        self.lock_if_idle();
        self.unsave_without_waiting();
        let (view, principal) = {
            let state = self.state_now();
            (state.view, state.principal)
        };
        if view == SeatState::Ended {
            self.ended();
            return Ok(view);
        }
        match self.0.desk.profile(&principal)? {
            Some(profile) => {
                let mut state = self.state_now();
                state.profile = profile;
                Ok(state.view)
            }
            None => {
                self.ended();
                Ok(SeatState::Ended)
            }
        }
    }

    /// Notes that the user did something: call it at each key and click. The time of the idle lock
    /// begins again; a seat that was idle for too long is locked instead.
    pub fn touch(&self) {
        self.lock_if_idle();
        let now = self.0.desk.now();
        self.state_now().last_touch = now;
    }

    /// Locks the seat: it is locked when this returns, also with an error. The session goes on; the
    /// saved token is deleted, because a restart would skip the lock.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended); [`Busy`](DeskError::Busy) and [`Vault`](DeskError::Vault) if
    /// the saved token may still be there: [`state`](Self::state) tries again to delete it.
    pub fn lock(&self) -> Result<()> {
        if self.cover() == SeatState::Ended {
            return Err(DeskError::Ended);
        }
        if self.due_token().is_some() {
            let turn = self.0.desk.turn()?;
            self.unsave_if_due(&turn)?;
        }
        Ok(())
    }

    /// Whether this seat is unlocked by a code of the authenticator, as its session was opened with
    /// a second factor; otherwise by the password.
    #[must_use]
    pub fn unlocks_by_code(&self) -> bool {
        self.state_now().principal.assurance > Assurance::Aal1
    }

    /// Proves that the user is the user of this seat, and opens it again: the session and its data
    /// stay, with a new token. On an open seat it is the proof that other calls ask for
    /// ([`StepUpRequired`](LoginRefusal::StepUpRequired)).
    ///
    /// Only the same user unlocks. Another user signs in by
    /// [`Desk::sign_in`](crate::Desk::sign_in), which ends this session.
    ///
    /// A wrong password counts as a failed attempt, as at a login.
    ///
    /// ```
    /// use gatepost::sessions::Reauthentication;
    /// use gatepost_desk::SeatState;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
    /// seat.lock()?;
    /// assert!(seat.unlock(Reauthentication::password("a guess"))?.done().is_err());
    /// assert_eq!(seat.state()?, SeatState::Locked);
    /// seat.unlock(Reauthentication::password("lantern over wet slate"))?.done()?;
    /// assert_eq!(seat.state()?, SeatState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Busy`](DeskError::Busy), [`Vault`](DeskError::Vault) and
    /// [`Store`](DeskError::Store): the seat stays as it is.
    pub fn unlock(&self, with: Reauthentication) -> Result<Outcome<()>> {
        let turn = self.0.desk.turn()?;
        self.lock_if_idle();
        // A proof on an open seat does not open one that is locked during the call.
        let is_locked = self.state_now().view == SeatState::Locked;
        let opens = if is_locked { Opens::Yes } else { Opens::No };
        self.change_token(&turn, opens, |desk, token| {
            desk.store().prove((token.expose(), desk.device()), with)
        })
    }

    /// Makes a call that gives the session a new token, and saves it if the seat is open then.
    pub(super) fn change_token(
        &self,
        turn: &Turn,
        opens: Opens,
        call: impl FnOnce(&Desk, &SavedToken) -> Result<LoginOutcome, Error>,
    ) -> Result<Outcome<()>> {
        let token = self.current_token(turn)?;
        match call(&self.0.desk, &token)? {
            LoginOutcome::Granted(reply) => {
                self.take(turn, *reply, opens);
                Ok(Outcome::Done(()))
            }
            // Revoked since the line above.
            LoginOutcome::Refused(LoginRefusal::SessionNotLive) => Err(self.ended_in(turn)),
            LoginOutcome::Refused(refusal) => Ok(Outcome::refused(refusal)),
            LoginOutcome::Pending(step) => Ok(Outcome::refused(step.refusal())),
        }
    }

    fn take(&self, turn: &Turn, reply: LoginReply, opens: Opens) {
        let desk = &self.0.desk;
        let token = SavedToken::new(reply.session.token.expose().to_owned());
        let keeps = self.state_now().keeps;
        let saved = desk.keep(turn, &token, keeps);
        let now = desk.now();
        let mut state = self.state_now();
        state.token = token;
        state.principal = reply.principal;
        state.profile = reply.profile;
        if opens == Opens::Yes || state.view == SeatState::Open {
            state.view = SeatState::Open;
            state.saved = Saved::from(saved);
            state.unsave_is_due = false;
            state.last_touch = now;
        } else {
            // It was locked during the call.
            state.unsave_is_due = Saved::from(saved).may_be_there();
        }
    }

    /// Locks an open seat in memory; returns its state then.
    fn cover(&self) -> SeatState {
        let mut state = self.state_now();
        if state.view == SeatState::Open {
            state.view = SeatState::Locked;
            state.unsave_is_due = state.saved.may_be_there();
            state.unsave_failed_at = None;
            state.saved = Saved::NotWanted;
        }
        state.view
    }

    /// The token of a locked seat, if its saved copy must still be deleted.
    fn due_token(&self) -> Option<SavedToken> {
        let state = self.state_now();
        (state.view == SeatState::Locked && state.unsave_is_due).then(|| state.token.copy())
    }

    /// Locks a seat that is idle for too long: in memory, so that any thread may call it.
    pub(super) fn lock_if_idle(&self) {
        let desk = &self.0.desk;
        let now = desk.now();
        let is_idle = |after| self.state_now().is_idle(after, now);
        if desk.idle_lock().is_some_and(is_idle) {
            self.cover();
        }
    }

    /// Deletes the saved token of a locked seat, if that is still to be done: its own as of this
    /// turn, or one that another instance gave the session, which is the seat's own from now on.
    /// Only the latter is a use of the session. The token of another session stays.
    fn unsave_if_due(&self, turn: &Turn) -> Result<()> {
        let Some(own) = self.due_token() else { return Ok(()) };
        if let Some(saved) = self.0.desk.load()?
            && (saved.expose() == own.expose() || self.adopts(&saved)?)
        {
            self.0.desk.unsave(turn)?;
        }
        self.state_now().unsave_is_due = false;
        Ok(())
    }

    /// As [`unsave_if_due`](Self::unsave_if_due), but waits for no other instance, and for a vault
    /// that fails once in a while.
    fn unsave_without_waiting(&self) {
        let now = self.0.desk.now();
        let failed_at = self.state_now().unsave_failed_at;
        let pauses =
            failed_at.is_some_and(|at| now >= at && now.duration_since(at) < UNSAVE_PAUSE);
        if pauses || self.due_token().is_none() {
            return;
        }
        if let Some(turn) = self.0.desk.turn_now()
            && self.unsave_if_due(&turn).is_err()
        {
            self.state_now().unsave_failed_at = Some(now);
        }
    }
}

impl State {
    /// A clock that went back begins the time again, so that a wrong clock that is corrected locks
    /// no seat for hours.
    fn is_idle(&mut self, after: Duration, now: Timestamp) -> bool {
        self.last_touch = self.last_touch.min(now);
        now.duration_since(self.last_touch) >= after
    }
}
