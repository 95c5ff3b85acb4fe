//! The desk could not be opened.

use eframe::egui::Ui;

use super::Action;
use crate::parts::{card, hint, main_button, problem, quiet_button};

#[derive(Default)]
pub(crate) struct Form {
    pub(crate) problem: Option<String>,
    /// Whether it is the vault that does not answer, and whether it is locked.
    pub(crate) vault: Option<Vault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vault {
    Locked,
    Absent,
}

pub(crate) fn show(ui: &mut Ui, form: &Form) -> Option<Action> {
    let heading = match form.vault {
        Some(_) => "Your saved sign-in cannot be read",
        None => "The till cannot start",
    };
    card(ui, heading, |ui| {
        problem(ui, form.problem.as_deref());
        match form.vault {
            Some(Vault::Locked) => hint(ui, "It is safe. Unlock your keyring to go on with it."),
            Some(Vault::Absent) => hint(ui, "It is safe, if there is one. Try again later."),
            None => {}
        }
        let mut action = None;
        ui.horizontal_wrapped(|ui| {
            if form.vault == Some(Vault::Locked) {
                if main_button(ui, "Unlock the keyring") {
                    action = Some(Action::UnlockVault);
                }
            } else if main_button(ui, "Try again") {
                action = Some(Action::Retry);
            }
            if form.vault.is_some() && quiet_button(ui, "Sign in for this run only") {
                action = Some(Action::GoOnInMemory);
            }
        });
        action
    })
}
