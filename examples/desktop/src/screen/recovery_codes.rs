//! The recovery codes, which are shown once.

use eframe::egui::{Grid, RichText, Ui};
use gatepost::second_factors::RecoveryCodes;

use super::Action;
use crate::parts::{hint, main_button, wide_card};

const WIDTH: f32 = 640.0;

pub(crate) struct Form {
    pub(crate) codes: RecoveryCodes,
}

pub(crate) fn show(ui: &mut Ui, form: &Form) -> Option<Action> {
    wide_card(ui, WIDTH, "Your recovery codes", |ui| {
        hint(
            ui,
            "Each one signs you in once, if you lose your authenticator. They are shown only now: \
             print them, or store them in a password manager.",
        );
        Grid::new("codes").num_columns(2).spacing([24.0, 6.0]).show(ui, |ui| {
            for pair in form.codes.codes.chunks(2) {
                for code in pair {
                    ui.label(RichText::new(code.expose()).monospace());
                }
                ui.end_row();
            }
        });
        ui.add_space(12.0);
        main_button(ui, "I have saved them").then_some(Action::ShowHome)
    })
}
