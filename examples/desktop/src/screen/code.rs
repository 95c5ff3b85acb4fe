//! The code of the authenticator, after the password.

use eframe::egui::Ui;
use gatepost_desk::FactorStep;

use super::Action;
use crate::parts::{
    Typed, card, entered, field, hint, main_button, password_field, problem, quiet_button,
};

pub(crate) struct Form {
    /// `None` while a call has it.
    pub(crate) step: Option<FactorStep>,
    pub(crate) code: Typed,
    pub(crate) is_recovery: bool,
    /// Whether the password has to be changed as well.
    pub(crate) asks_new_password: bool,
    pub(crate) new_password: Typed,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    card(ui, "Enter your code", |ui| {
        hint(
            ui,
            match form.is_recovery {
                true => "Type one of your recovery codes. Each works once.",
                false => "Type the code that your authenticator shows.",
            },
        );
        problem(ui, form.problem.as_deref());
        let label = if form.is_recovery { "Recovery code" } else { "Code" };
        let mut last = field(ui, label, &mut form.code);
        if form.asks_new_password {
            last = password_field(ui, "New password", &mut form.new_password);
        }
        let mut action = entered(ui, &last).then_some(Action::EnterCode);
        ui.horizontal(|ui| {
            if main_button(ui, "Sign in") {
                action = Some(Action::EnterCode);
            }
            let other = match form.is_recovery {
                true => "Use the authenticator",
                false => "Use a recovery code",
            };
            if quiet_button(ui, other) {
                form.is_recovery = !form.is_recovery;
                form.code = Typed::default();
            }
            if quiet_button(ui, "Give up") {
                action = Some(Action::GiveUp);
            }
        });
        action
    })
}
