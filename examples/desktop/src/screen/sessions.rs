//! The user's own sessions.

use eframe::egui::{Grid, RichText, Ui};
use gatepost::SessionId;
use gatepost::sessions::SessionInfo;

use super::Action;
use crate::parts::{danger_button, done, problem, quiet_button, wide_card};
use crate::theme::colours;

pub(crate) struct Form {
    pub(crate) sessions: Vec<SessionInfo>,
    pub(crate) current: SessionId,
    pub(crate) notice: Option<String>,
    pub(crate) problem: Option<String>,
}

const WIDTH: f32 = 640.0;

pub(crate) fn show(ui: &mut Ui, form: &Form) -> Option<Action> {
    let mut action = None;
    wide_card(ui, WIDTH, "My sessions", |ui| {
        done(ui, form.notice.as_deref());
        problem(ui, form.problem.as_deref());
        Grid::new("sessions").num_columns(4).spacing([24.0, 10.0]).show(ui, |ui| {
            for heading in ["Where", "Signed in", "Ends", ""] {
                ui.label(RichText::new(heading).strong());
            }
            ui.end_row();
            for session in &form.sessions {
                let is_current = session.id == form.current;
                let place = if is_current { "this machine" } else { "another machine" };
                ui.label(session.label.as_deref().unwrap_or(place));
                ui.label(minute(&session.opened_at.to_string()));
                ui.label(minute(&session.expires_at.to_string()));
                if is_current {
                    let good = colours(ui.ctx()).good;
                    ui.label(RichText::new("this session").color(good));
                } else if danger_button(ui, "Revoke") {
                    action = Some(Action::Revoke(session.id));
                }
                ui.end_row();
            }
        });
        ui.add_space(12.0);
        ui.horizontal(|ui| {
            if quiet_button(ui, "Back") {
                action = Some(Action::ShowHome);
            }
            if form.sessions.len() > 1 && danger_button(ui, "Revoke all others") {
                action = Some(Action::RevokeOthers);
            }
        });
    });
    action
}

/// `2026-11-30 09:15 UTC`, of a time in RFC 3339.
fn minute(time: &str) -> String {
    let text: String = time.chars().take("2026-11-30T09:15".len()).collect();
    text.replace('T', " ") + " UTC"
}
