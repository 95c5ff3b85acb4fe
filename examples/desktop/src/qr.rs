//! A QR code, painted as rectangles: black on white in both themes, so that every camera reads it.

use eframe::egui::{Color32, Rect, Sense, Ui, pos2, vec2};
use qrcode::{Color, QrCode};

/// The side of the code, with its quiet zone of four modules (ISO/IEC 18004).
const SIDE: f32 = 208.0;
const QUIET_MODULES: usize = 4;

/// Paints `text`; nothing if it is too long for a QR code.
pub(crate) fn show(ui: &mut Ui, text: &str) {
    let Ok(code) = QrCode::new(text) else { return };
    let modules = code.width() + 2 * QUIET_MODULES;
    // Whole points, so that no line is blurred.
    let module = (SIDE / modules as f32).floor().max(1.0);
    let side = module * modules as f32;
    let (response, painter) = ui.allocate_painter(vec2(side, side), Sense::hover());
    let corner = response.rect.min;
    painter.rect_filled(response.rect, 4.0, Color32::WHITE);
    for (at, colour) in code.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            let (row, column) = (at / code.width(), at % code.width());
            let x = corner.x + module * (column + QUIET_MODULES) as f32;
            let y = corner.y + module * (row + QUIET_MODULES) as f32;
            let square = Rect::from_min_size(pos2(x, y), vec2(module, module));
            painter.rect_filled(square, 0.0, Color32::BLACK);
        }
    }
}
