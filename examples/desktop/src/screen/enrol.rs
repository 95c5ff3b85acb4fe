//! A new second factor: a QR code, and two codes that confirm it.

use std::sync::Arc;

use eframe::egui::{RichText, Ui};
use gatepost::second_factors::TotpEnrolment;
use gatepost_desk::FactorStep;

use super::Action;
use crate::parts::{Typed, entered, field, hint, main_button, problem, quiet_button, wide_card};
use crate::qr;
use crate::theme::colours;

pub(crate) struct Form {
    /// The sign-in that demands it; `None` in a session.
    pub(crate) step: Option<Arc<FactorStep>>,
    pub(crate) enrolment: TotpEnrolment,
    pub(crate) first: Typed,
    pub(crate) second: Typed,
    pub(crate) problem: Option<String>,
}

const WIDTH: f32 = 600.0;

pub(crate) fn show(ui: &mut Ui, form: &mut Form) -> Option<Action> {
    wide_card(ui, WIDTH, "Add your authenticator", |ui| {
        if form.step.is_some() {
            hint(ui, "Your password was right. A second factor is needed before you go on.");
        }
        problem(ui, form.problem.as_deref());
        let mut action = None;
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(220.0);
                qr::show(ui, form.enrolment.uri.expose());
                hint(ui, "Or type this secret:");
                let quiet = colours(ui.ctx()).text;
                let secret = in_fours(form.enrolment.base32.expose());
                ui.label(RichText::new(secret).monospace().color(quiet));
            });
            ui.add_space(12.0);
            ui.vertical(|ui| {
                hint(
                    ui,
                    "Scan the code with your authenticator, and type the code that it shows.",
                );
                field(ui, "Code", &mut form.first);
                hint(ui, "Wait for the next code, up to 30 seconds.");
                let last = field(ui, "Next code", &mut form.second);
                action = entered(ui, &last).then_some(Action::ConfirmSecondFactor);
                ui.horizontal(|ui| {
                    if main_button(ui, "Confirm") {
                        action = Some(Action::ConfirmSecondFactor);
                    }
                    if quiet_button(ui, "Not now") {
                        let is_signed_in = form.step.is_none();
                        action =
                            Some(if is_signed_in { Action::ShowHome } else { Action::GiveUp });
                    }
                });
            });
        });
        action
    })
}

/// The secret as a person reads it: `ABCD EFGH`.
fn in_fours(secret: &str) -> String {
    let mut text = String::new();
    for (at, letter) in secret.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    text
}
