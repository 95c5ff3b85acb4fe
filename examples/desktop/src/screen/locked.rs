//! The lock: the session goes on, and its user has to prove that it is still them.

use eframe::egui::Ui;

use super::Action;
use crate::parts::{
    Typed, card, entered, field, hint, main_button, password_field, problem, quiet_button,
};

#[derive(Default)]
pub(crate) struct Form {
    pub(crate) username: String,
    /// Asked for in place of the password, of a user with a second factor.
    pub(crate) is_by_code: bool,
    pub(crate) typed: Typed,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    card(ui, "Locked", |ui| {
        hint(ui, &format!("{} is signed in.", form.username));
        problem(ui, form.problem.as_deref());
        let field = match form.is_by_code {
            true => field(ui, "Code of your authenticator", &mut form.typed),
            false => password_field(ui, "Password", &mut form.typed),
        };
        let mut action = entered(ui, &field).then_some(Action::Unlock);
        ui.horizontal(|ui| {
            if main_button(ui, "Unlock") {
                action = Some(Action::Unlock);
            }
            if quiet_button(ui, "Switch user") {
                action = Some(Action::SwitchUser);
            }
        });
        action
    })
}
