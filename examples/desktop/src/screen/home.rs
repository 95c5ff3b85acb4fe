//! The till itself, of which this example has only the frame.

use eframe::egui::{RichText, Ui};
use gatepost_desk::{Saved, VaultError, VaultKind};

use super::Action;
use crate::parts::{danger_button, done, hint, main_button, problem, quiet_button, wide_card};

pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) is_administrator: bool,
    pub(crate) has_second_factor: bool,
    pub(crate) saved: Saved,
    pub(crate) notice: Option<String>,
    pub(crate) problem: Option<String>,
}

const WIDTH: f32 = 560.0;

pub(crate) fn show(ui: &mut Ui, form: &Form) -> Option<Action> {
    let mut action = None;
    let mut wants = |is_wanted: bool, what: Action| {
        if is_wanted {
            action = Some(what);
        }
    };
    wide_card(ui, WIDTH, &format!("Good day, {}", form.name), |ui| {
        done(ui, form.notice.as_deref());
        problem(ui, form.problem.as_deref());
        hint(ui, &saved(&form.saved));
        ui.horizontal_wrapped(|ui| {
            wants(main_button(ui, "Lock"), Action::Lock);
            wants(quiet_button(ui, "Switch user"), Action::SwitchUser);
            wants(danger_button(ui, "Sign out"), Action::SignOut);
        });
        ui.add_space(12.0);
        ui.label(RichText::new("Your account").strong());
        ui.horizontal_wrapped(|ui| {
            wants(quiet_button(ui, "My sessions"), Action::ShowSessions);
            if !form.has_second_factor {
                wants(quiet_button(ui, "Add a second factor"), Action::AddSecondFactor);
            }
        });
        if form.has_second_factor {
            hint(ui, "An authenticator protects your account.");
        }
        if form.is_administrator {
            ui.add_space(12.0);
            ui.label(RichText::new("Administration").strong());
            wants(quiet_button(ui, "People"), Action::ShowPeople);
        }
    });
    action
}

/// Where the sign-in is saved, as a sentence.
fn saved(saved: &Saved) -> String {
    let place = match saved {
        Saved::Yes(VaultKind::SecretService) => "in your keyring",
        Saved::Yes(VaultKind::File) => "in a file that only your account can read",
        Saved::Yes(_) => "until the till is closed",
        Saved::NotWanted => {
            return "You will be asked for your password at the next start.".into();
        }
        Saved::Failed(error) => return not_saved(error),
    };
    format!("Your sign-in is saved {place}.")
}

fn not_saved(error: &VaultError) -> String {
    format!("Your sign-in is not saved: {error}. You will be asked for your password again.")
}
