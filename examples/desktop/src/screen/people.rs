//! The users of this till, for its administrator.

use eframe::egui::Ui;

use super::Action;
use crate::parts::{
    Typed, card, done, entered, field, hint, main_button, password_field, problem, quiet_button,
};

#[derive(Default)]
pub(crate) struct Form {
    pub(crate) names: Vec<String>,
    pub(crate) username: Typed,
    pub(crate) password: Typed,
    pub(crate) notice: Option<String>,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    card(ui, "People", |ui| {
        done(ui, form.notice.as_deref());
        problem(ui, form.problem.as_deref());
        ui.label(form.names.join(", "));
        ui.add_space(8.0);
        field(ui, "Username", &mut form.username);
        let last = password_field(ui, "First password", &mut form.password);
        hint(ui, "It has to be changed at the first sign-in.");
        let mut action = entered(ui, &last).then_some(Action::AddPerson);
        ui.horizontal(|ui| {
            if main_button(ui, "Add") {
                action = Some(Action::AddPerson);
            }
            if quiet_button(ui, "Back") {
                action = Some(Action::ShowHome);
            }
        });
        action
    })
}
