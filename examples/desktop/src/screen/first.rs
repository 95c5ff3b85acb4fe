//! The first start: the store has no user.

use eframe::egui::Ui;

use super::Action;
use crate::parts::{Typed, card, entered, field, hint, main_button, password_field, problem};

#[derive(Default)]
pub(crate) struct Form {
    pub(crate) username: Typed,
    pub(crate) password: Typed,
    pub(crate) again: Typed,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    card(ui, "Welcome", |ui| {
        hint(ui, "This till has no user yet. The first one administers it.");
        problem(ui, form.problem.as_deref());
        field(ui, "Username", &mut form.username);
        password_field(ui, "Password", &mut form.password);
        let last = password_field(ui, "Password, once more", &mut form.again);
        let is_wanted = entered(ui, &last);
        (main_button(ui, "Create") || is_wanted).then_some(Action::CreateFirstAdministrator)
    })
}
