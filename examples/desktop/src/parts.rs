//! The parts that the screens are made of.

use eframe::egui::{
    Align, Button, CentralPanel, Frame, Layout, Margin, Rect, Response, RichText, ScrollArea,
    Stroke, TextEdit, Ui, UiBuilder, pos2, vec2,
};
use zeroize::Zeroizing;

use crate::theme::{CARD, colours};

/// What was typed. The text is wiped when the field is dropped or cleared.
pub(crate) type Typed = Zeroizing<String>;

const CARD_WIDTH: f32 = 430.0;
const ABOVE_CARD: f32 = 28.0;
const FIELD_HEIGHT: f32 = 38.0;

/// A card in the middle of the window, with a heading.
pub(crate) fn card<R>(ui: &mut Ui, heading: &str, content: impl FnOnce(&mut Ui) -> R) -> R {
    wide_card(ui, CARD_WIDTH, heading, content)
}

/// A card of that width.
pub(crate) fn wide_card<R>(
    ui: &mut Ui,
    width: f32,
    heading: &str,
    content: impl FnOnce(&mut Ui) -> R,
) -> R {
    let colours = colours(ui.ctx());
    let frame = Frame::new()
        .fill(colours.card)
        .stroke(Stroke::new(1.0, colours.line.gamma_multiply(0.5)))
        .corner_radius(8)
        .inner_margin(CARD);
    let scrolled = |ui: &mut Ui| {
        let room = ui.available_rect_before_wrap();
        let width = width.min(room.width());
        let corner = pos2(room.center().x - width / 2.0, room.top() + ABOVE_CARD);
        let at = Rect::from_min_size(corner, vec2(width, 0.0));
        let builder = UiBuilder::new().max_rect(at).layout(Layout::top_down(Align::Min));
        let shown = ui.scope_builder(builder, |ui| {
            frame.show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.heading(RichText::new(heading).strong());
                ui.add_space(8.0);
                content(ui)
            })
        });
        ui.add_space(ABOVE_CARD);
        shown.inner.inner
    };
    let panel = |ui: &mut Ui| ScrollArea::vertical().auto_shrink(false).show(ui, scrolled).inner;
    CentralPanel::default().show(ui, panel).inner
}

/// A line of text with its label above. The first one of a screen that is empty gets the focus.
pub(crate) fn field(ui: &mut Ui, label: &str, text: &mut Typed) -> Response {
    add_field(ui, label, text, false)
}

/// A field whose text is hidden.
pub(crate) fn password_field(ui: &mut Ui, label: &str, text: &mut Typed) -> Response {
    add_field(ui, label, text, true)
}

fn add_field(ui: &mut Ui, label: &str, text: &mut Typed, is_hidden: bool) -> Response {
    let is_empty = text.is_empty();
    let name = ui.label(RichText::new(label).strong());
    let edit = TextEdit::singleline(&mut **text)
        .password(is_hidden)
        .id_salt(label)
        .margin(Margin::symmetric(10, 9))
        .min_size(vec2(0.0, FIELD_HEIGHT))
        .desired_width(f32::INFINITY);
    let response = ui.add(edit).labelled_by(name.id);
    // Not the field that gives up the focus in this frame: the screen asks it for that.
    let is_free = ui.memory(|memory| memory.focused().is_none()) && !response.lost_focus();
    if is_free && is_empty && ui.is_enabled() {
        response.request_focus();
    }
    ui.add_space(4.0);
    response
}

/// The button of what a screen is for.
pub(crate) fn main_button(ui: &mut Ui, text: &str) -> bool {
    let colours = colours(ui.ctx());
    let text = RichText::new(text).strong().color(colours.on_accent);
    let button = Button::new(text).fill(colours.accent).min_size(vec2(0.0, FIELD_HEIGHT));
    clicked(ui, ui.style().visuals.selection.stroke, button)
}

/// A button beside it.
pub(crate) fn quiet_button(ui: &mut Ui, text: &str) -> bool {
    let colours = colours(ui.ctx());
    let button = Button::new(RichText::new(text).color(colours.accent));
    clicked(ui, ui.style().visuals.selection.stroke, button.min_size(vec2(0.0, FIELD_HEIGHT)))
}

/// A button that takes something away.
pub(crate) fn danger_button(ui: &mut Ui, text: &str) -> bool {
    let colours = colours(ui.ctx());
    let button = Button::new(RichText::new(text).color(colours.danger));
    let ring = Stroke::new(2.0, colours.danger);
    clicked(ui, ring, button.min_size(vec2(0.0, FIELD_HEIGHT)))
}

/// Whether it was clicked. The focus is shown as a ring around the button.
fn clicked(ui: &mut Ui, ring: Stroke, button: Button<'_>) -> bool {
    let response = ui.add(button);
    if response.has_focus() {
        let ring_at = response.rect.expand(3.0);
        let kind = eframe::egui::StrokeKind::Outside;
        ui.painter().rect_stroke(ring_at, 6.0, ring, kind);
    }
    response.clicked()
}

/// Whether the enter key was pressed in that field.
pub(crate) fn entered(ui: &Ui, field: &Response) -> bool {
    field.lost_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Enter))
}

/// Why a call was refused or failed.
pub(crate) fn problem(ui: &mut Ui, text: Option<&str>) {
    let Some(text) = text else { return };
    let danger = colours(ui.ctx()).danger;
    notice(ui, danger, text);
}

/// What a call has done.
pub(crate) fn done(ui: &mut Ui, text: Option<&str>) {
    let Some(text) = text else { return };
    let good = colours(ui.ctx()).good;
    notice(ui, good, text);
}

fn notice(ui: &mut Ui, colour: eframe::egui::Color32, text: &str) {
    Frame::new()
        .stroke(Stroke::new(1.0, colour))
        .corner_radius(5)
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(text).color(colour));
        });
    ui.add_space(4.0);
}

/// A sentence that explains a screen.
pub(crate) fn hint(ui: &mut Ui, text: &str) {
    let quiet = colours(ui.ctx()).quiet;
    ui.label(RichText::new(text).color(quiet));
    ui.add_space(4.0);
}
