//! Sign in with the password.

use eframe::egui::Ui;

use super::Action;
use crate::parts::{
    Typed, card, done, entered, field, main_button, password_field, problem, quiet_button,
};

#[derive(Default)]
pub(crate) struct Form {
    pub(crate) username: Typed,
    pub(crate) password: Typed,
    pub(crate) is_remembered: bool,
    /// Another user is signed in, to whose window this leads back.
    pub(crate) can_go_back: bool,
    pub(crate) notice: Option<String>,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    let heading = if form.can_go_back { "Switch user" } else { "Sign in" };
    card(ui, heading, |ui| {
        done(ui, form.notice.as_deref());
        problem(ui, form.problem.as_deref());
        field(ui, "Username or e-mail address", &mut form.username);
        let last = password_field(ui, "Password", &mut form.password);
        let mut action = entered(ui, &last).then_some(Action::SignIn);
        ui.checkbox(&mut form.is_remembered, "Stay signed in for 30 days");
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if main_button(ui, "Sign in") {
                action = Some(Action::SignIn);
            }
            if form.can_go_back && quiet_button(ui, "Back") {
                action = Some(Action::ShowHome);
            }
        });
        action
    })
}
