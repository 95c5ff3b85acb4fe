//! A password that has to be changed before the user goes on.

use std::sync::Arc;

use eframe::egui::Ui;
use gatepost_desk::NewPasswordStep;

use super::Action;
use crate::parts::{
    Typed, card, entered, hint, main_button, password_field, problem, quiet_button,
};

pub(crate) struct Form {
    pub(crate) step: Arc<NewPasswordStep>,
    pub(crate) password: Typed,
    pub(crate) again: Typed,
    pub(crate) problem: Option<String>,
}

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    card(ui, "Choose a new password", |ui| {
        hint(ui, "Your password was right. It has to be changed before you go on.");
        problem(ui, form.problem.as_deref());
        password_field(ui, "New password", &mut form.password);
        let last = password_field(ui, "New password, once more", &mut form.again);
        let mut action = entered(ui, &last).then_some(Action::ChangePassword);
        ui.horizontal(|ui| {
            if main_button(ui, "Change it and sign in") {
                action = Some(Action::ChangePassword);
            }
            if quiet_button(ui, "Give up") {
                action = Some(Action::GiveUp);
            }
        });
        action
    })
}
