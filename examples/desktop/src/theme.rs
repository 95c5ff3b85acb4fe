//! The colours, in light and dark, and the sizes.

use eframe::egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Theme,
    vec2,
};

/// The colours of one theme. Text on `ground` and on `field` has a contrast of 4.5:1 or more
/// (WCAG 2.2, 1.4.3).
pub(crate) struct Colours {
    pub(crate) ground: Color32,
    pub(crate) card: Color32,
    pub(crate) field: Color32,
    pub(crate) text: Color32,
    pub(crate) quiet: Color32,
    pub(crate) line: Color32,
    pub(crate) accent: Color32,
    pub(crate) on_accent: Color32,
    pub(crate) danger: Color32,
    pub(crate) good: Color32,
}

const LIGHT: Colours = Colours {
    ground: Color32::from_rgb(0xee, 0xf1, 0xf5),
    card: Color32::from_rgb(0xff, 0xff, 0xff),
    field: Color32::from_rgb(0xff, 0xff, 0xff),
    text: Color32::from_rgb(0x1c, 0x23, 0x30),
    quiet: Color32::from_rgb(0x4d, 0x57, 0x66),
    line: Color32::from_rgb(0x8a, 0x95, 0xa5),
    accent: Color32::from_rgb(0x0b, 0x57, 0xa4),
    on_accent: Color32::from_rgb(0xff, 0xff, 0xff),
    danger: Color32::from_rgb(0xa3, 0x12, 0x21),
    good: Color32::from_rgb(0x14, 0x65, 0x2f),
};

const DARK: Colours = Colours {
    ground: Color32::from_rgb(0x14, 0x18, 0x1f),
    card: Color32::from_rgb(0x1e, 0x24, 0x2e),
    field: Color32::from_rgb(0x14, 0x18, 0x1f),
    text: Color32::from_rgb(0xe6, 0xea, 0xf0),
    quiet: Color32::from_rgb(0xaa, 0xb4, 0xc2),
    line: Color32::from_rgb(0x6b, 0x78, 0x8a),
    accent: Color32::from_rgb(0x8c, 0xc0, 0xff),
    on_accent: Color32::from_rgb(0x0b, 0x1a, 0x2c),
    danger: Color32::from_rgb(0xff, 0x9a, 0x9f),
    good: Color32::from_rgb(0x86, 0xdb, 0xa3),
};

/// The colours in use.
pub(crate) fn colours(ctx: &Context) -> &'static Colours {
    of(ctx.theme())
}

fn of(theme: Theme) -> &'static Colours {
    match theme {
        Theme::Light => &LIGHT,
        Theme::Dark => &DARK,
    }
}

/// Sets both themes. Which one is shown follows the system, unless the program chooses.
pub(crate) fn set(ctx: &Context) {
    for theme in [Theme::Light, Theme::Dark] {
        ctx.style_mut_of(theme, |style| {
            sizes(style);
            paint(style, of(theme));
        });
    }
}

fn sizes(style: &mut Style) {
    let font = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles = [
        (TextStyle::Small, font(13.0)),
        (TextStyle::Body, font(15.0)),
        (TextStyle::Button, font(15.0)),
        (TextStyle::Heading, font(23.0)),
        (TextStyle::Monospace, FontId::new(14.0, FontFamily::Monospace)),
    ]
    .into();
    style.spacing.item_spacing = vec2(8.0, 8.0);
    style.spacing.button_padding = vec2(14.0, 8.0);
    style.spacing.interact_size.y = 36.0;
}

fn paint(style: &mut Style, colours: &Colours) {
    let visuals = &mut style.visuals;
    visuals.panel_fill = colours.ground;
    visuals.window_fill = colours.card;
    visuals.extreme_bg_color = colours.field;
    visuals.weak_text_color = Some(colours.quiet);
    visuals.hyperlink_color = colours.accent;
    visuals.error_fg_color = colours.danger;
    visuals.selection.bg_fill = colours.accent.gamma_multiply(0.35);
    visuals.selection.stroke = Stroke::new(2.0, colours.accent);
    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(5);
        widget.fg_stroke = Stroke::new(1.0, colours.text);
        widget.weak_bg_fill = colours.card;
        widget.bg_fill = colours.field;
        widget.bg_stroke = Stroke::new(1.0, colours.line);
        widget.expansion = 0.0;
    }
    widgets.hovered.bg_stroke = Stroke::new(1.0, colours.accent);
    widgets.active.bg_stroke = Stroke::new(2.0, colours.accent);
}

/// The margin inside of a card.
pub(crate) const CARD: Margin = Margin::same(24);
