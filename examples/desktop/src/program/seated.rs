//! The calls of a seat.

use std::mem::take;

use gatepost::directory::UserFilter;
use gatepost::second_factors::RecoveryCodes;
use gatepost::sessions::{Reauthentication, SessionInfo};
use gatepost::{NewUser, SessionId};
use gatepost_desk::{DeskError, Seat};

use super::Program;
use crate::screen::{Screen, home, locked, people, recovery_codes, sessions};

impl Program {
    /// A user is signed in.
    pub(super) fn seated(&mut self, seat: Seat) {
        self.seat = Some(seat);
        self.show_home(None);
    }

    /// The session is over, by another process, by an administrator, or by time.
    pub(super) fn ended(&mut self) {
        self.seat = None;
        self.show_sign_in(Some("Your session has ended. Sign in again."));
    }

    /// Runs a call on the seat; its errors are reported on the screen.
    fn on_seat<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&Seat) -> Result<T, DeskError> + Send + 'static,
        finish: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        let Some(seat) = self.seat.clone() else { return };
        self.start(
            move || call(&seat),
            |program, outcome| match outcome {
                Ok(outcome) => finish(program, outcome),
                Err(error) => program.report(&error),
            },
        );
    }

    pub(super) fn show_home(&mut self, notice: Option<&'static str>) {
        let call = move |seat: &Seat| {
            let user = seat.profile()?.user;
            Ok(home::Form {
                name: user.first_name.unwrap_or(user.username),
                is_administrator: user.privileges.iter().any(|name| name == "admin"),
                has_second_factor: seat.second_factor()?.is_some(),
                saved: seat.saved(),
                notice: notice.map(str::to_owned),
                problem: None,
            })
        };
        self.on_seat(call, |program, form| program.screen = Screen::Home(form));
    }

    pub(super) fn show_sessions(&mut self, notice: Option<&'static str>) {
        let call = |seat: &Seat| Ok((seat.sessions()?, seat.session()));
        self.on_seat(call, move |program, (sessions, current): (Vec<SessionInfo>, _)| {
            let notice = notice.map(str::to_owned);
            program.screen =
                Screen::Sessions(sessions::Form { sessions, current, notice, problem: None });
        });
    }

    pub(super) fn revoke(&mut self, session: SessionId) {
        let call = move |seat: &Seat| seat.revoke(session).map(drop);
        self.on_seat(call, |program, ()| program.show_sessions(Some("The session is revoked.")));
    }

    pub(super) fn revoke_others(&mut self) {
        let call = |seat: &Seat| seat.revoke_others();
        self.on_seat(call, |program, ()| {
            program.show_sessions(Some("All other sessions are revoked."));
        });
    }

    pub(super) fn show_people(&mut self, notice: Option<&'static str>) {
        let call = |seat: &Seat| {
            let store = seat.store()?;
            let users = store.users().iter(&UserFilter::new());
            let names = users.map(|user| user.map(|user| user.username));
            names.collect::<Result<_, _>>().map_err(DeskError::Store)
        };
        self.on_seat(call, move |program, names: Vec<String>| {
            let notice = notice.map(str::to_owned);
            program.screen = Screen::People(people::Form { names, notice, ..Default::default() });
        });
    }

    pub(super) fn add_person(&mut self) {
        let Screen::People(form) = &self.screen else { return };
        let (username, password) = (form.username.clone(), form.password.clone());
        let call = move |seat: &Seat| {
            let new = NewUser::person(username.as_str()).password(password.as_str().into());
            let created = seat.store()?.users().create(new.must_change_password());
            created.map(drop).map_err(DeskError::Store)
        };
        self.on_seat(call, |program, ()| program.show_people(Some("Added.")));
    }

    pub(super) fn add_second_factor(&mut self) {
        self.on_seat(Seat::enrol_second_factor, |program, outcome| match outcome.done() {
            Ok(enrolment) => program.show_enrolment(None, enrolment),
            Err(refusal) => program.say(refusal.message().to_string()),
        });
    }

    pub(super) fn confirm_second_factor(&mut self) {
        let Screen::Enrol(form) = &mut self.screen else { return };
        let (first, second) = (take(&mut form.first), take(&mut form.second));
        if let Some(step) = form.step.clone() {
            let call = move || step.confirm(first.as_str(), second.as_str());
            return self.start(call, Self::answered);
        }
        let call = move |seat: &Seat| seat.confirm_second_factor(first.as_str(), second.as_str());
        self.on_seat(call, |program, outcome| match outcome.done() {
            Ok(codes) => program.show_recovery_codes(codes),
            Err(refusal) => program.say(refusal.message().to_string()),
        });
    }

    pub(super) fn show_recovery_codes(&mut self, codes: RecoveryCodes) {
        self.screen = Screen::RecoveryCodes(recovery_codes::Form { codes });
    }

    pub(super) fn lock(&mut self) {
        self.on_seat(Seat::lock, |program, ()| program.show_lock());
    }

    pub(super) fn show_lock(&mut self) {
        let Some(seat) = &self.seat else { return };
        let (username, is_by_code) = (seat.username(), seat.unlocks_by_code());
        self.screen = Screen::Locked(locked::Form { username, is_by_code, ..Default::default() });
    }

    pub(super) fn unlock(&mut self) {
        let Screen::Locked(form) = &mut self.screen else { return };
        let typed = take(&mut form.typed);
        let proof = match form.is_by_code {
            true => Reauthentication::code(typed.as_str()),
            false => Reauthentication::password(typed.as_str()),
        };
        let call = move |seat: &Seat| seat.unlock(proof);
        self.on_seat(call, |program, outcome| match outcome.done() {
            Ok(()) => program.show_home(None),
            Err(refusal) => program.say(refusal.message().to_string()),
        });
    }

    pub(super) fn sign_out(&mut self) {
        self.on_seat(Seat::sign_out, |program, ()| {
            program.seat = None;
            program.show_sign_in(Some("You are signed out."));
        });
    }
}
