//! The calls before there is a seat.

use std::sync::Arc;
use std::time::Duration;

use gatepost::LoginRefusal;
use gatepost::sessions::StepDemand;
use gatepost_desk::{
    DeskError, FactorStep, Refused, SecretServiceVault, SignIn, SignInRequest, VaultError,
};

use super::{PROMPT_MAX, Program};
use crate::parts::Typed;
use crate::screen::{Screen, code, enrol, new_password};

/// How long a remembered user stays signed in.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const WRONG_CODE: &str = "The code is wrong or was used before, or there were too many attempts.";

impl Program {
    /// Lets the Secret Service show its own window, and opens the desk again.
    pub(super) fn unlock_vault(&mut self) {
        let unlock = || SecretServiceVault::new().unlock(PROMPT_MAX);
        self.start(unlock, |program, unlocked: Result<(), VaultError>| match unlocked {
            Ok(()) => program.open(),
            Err(error) => program.say(error.to_string()),
        });
    }

    pub(super) fn create_first_administrator(&mut self) {
        let (Some(desk), Screen::FirstAdministrator(form)) = (self.desk.clone(), &self.screen)
        else {
            return;
        };
        if form.password != form.again {
            self.say("The two passwords differ.");
            return;
        }
        let (username, password) = (form.username.clone(), form.password.clone());
        let call = move || {
            desk.first_administrator(username.as_str(), password.as_str())?;
            desk.sign_in(username.as_str(), password.as_str())
        };
        self.start(call, Self::answered);
    }

    pub(super) fn sign_in(&mut self) {
        let (Some(desk), Screen::SignIn(form)) = (self.desk.clone(), &mut self.screen) else {
            return;
        };
        form.notice = None;
        let (username, password) = (form.username.clone(), form.password.clone());
        let mut request = SignInRequest::new(username.as_str(), password.as_str());
        request = match form.is_remembered {
            true => request.remember_for(REMEMBERED),
            false => request.forget_at_exit(),
        };
        self.start(move || desk.sign_in_with(request), Self::answered);
    }

    pub(super) fn change_password(&mut self) {
        let Screen::NewPassword(form) = &mut self.screen else { return };
        if form.password != form.again {
            (form.password, form.again) = (Typed::default(), Typed::default());
            self.say("The two passwords differ.");
            return;
        }
        let (step, password) = (form.step.clone(), form.password.clone());
        self.start(move || step.change_to(password.as_str()), Self::answered);
    }

    pub(super) fn enter_code(&mut self) {
        let Screen::Code(form) = &mut self.screen else { return };
        let (Some(mut step), is_recovery) = (form.step.take(), form.is_recovery) else { return };
        if form.asks_new_password {
            step.set_new_password(form.new_password.as_str());
        }
        let code = std::mem::take(&mut form.code);
        let call = move || {
            let answer = match is_recovery {
                true => step.complete_with_recovery_code(code.as_str()),
                false => step.complete(code.as_str()),
            };
            (step, answer)
        };
        self.start(call, |program, (step, answer)| {
            // A wrong code leaves the step as it is, for the next one.
            if let Screen::Code(form) = &mut program.screen {
                form.step = Some(step);
            }
            program.answered(answer);
        });
    }

    /// What every step of a sign-in comes to.
    pub(super) fn answered(&mut self, answer: Result<SignIn, DeskError>) {
        match answer {
            Ok(SignIn::Granted(seat)) => match seat.take_recovery_codes() {
                Some(codes) => {
                    self.seat = Some(seat);
                    self.show_recovery_codes(codes);
                }
                None => self.seated(seat),
            },
            Ok(SignIn::NewPasswordRequired(step)) => {
                let (password, again) = (Typed::default(), Typed::default());
                let step = Arc::new(step);
                let form = new_password::Form { step, password, again, problem: None };
                self.screen = Screen::NewPassword(form);
            }
            Ok(SignIn::Refused(refused)) => self.refused(refused),
            Err(error) => self.report(&error),
        }
    }

    fn refused(&mut self, refused: Refused) {
        let (refusal, message) = (refused.refusal(), refused.message().to_string());
        if refusal == LoginRefusal::StepNotLive {
            self.show_sign_in(None);
        }
        match refused.into_step() {
            Some(step) if step.demand() == StepDemand::Enrolment => self.begin_enrolment(step),
            Some(step) => {
                self.screen = Screen::Code(code::Form {
                    asks_new_password: step.new_password_required(),
                    step: Some(step),
                    code: Typed::default(),
                    is_recovery: false,
                    new_password: Typed::default(),
                    problem: None,
                });
            }
            None => {
                if let Screen::SignIn(form) = &mut self.screen {
                    form.password = Typed::default();
                }
                // After a right password, the sentence about a wrong one would mislead.
                match (&self.screen, refusal) {
                    (Screen::Code(_) | Screen::Enrol(_), LoginRefusal::InvalidCredentials) => {
                        self.say(WRONG_CODE);
                    }
                    _ => self.say(message),
                }
            }
        }
    }

    /// The sign-in demands a second factor, and the user has none.
    fn begin_enrolment(&mut self, step: FactorStep) {
        let call = move || {
            let enrolment = step.enrol()?;
            Ok::<_, DeskError>((step, enrolment))
        };
        self.start(call, |program, begun| match begun {
            Ok((step, outcome)) => match outcome.done() {
                Ok(enrolment) => program.show_enrolment(Some(Arc::new(step)), enrolment),
                Err(refusal) => program.say(refusal.message().to_string()),
            },
            Err(error) => program.report(&error),
        });
    }

    pub(super) fn show_enrolment(
        &mut self,
        step: Option<Arc<FactorStep>>,
        enrolment: gatepost::second_factors::TotpEnrolment,
    ) {
        let (first, second) = (Typed::default(), Typed::default());
        self.screen = Screen::Enrol(enrol::Form { step, enrolment, first, second, problem: None });
    }
}
