//! What the charts of measured times share: a card that reads on a light page and on a dark one,
//! and a logarithmic scale. `benches/peers/driver` has this file as a module too.

use std::fmt::Write;

/// Each colour: its name, on a light page, on a dark page.
const COLOURS: [(&str, &str, &str); 8] = [
    ("card", "#ffffff", "#1c2128"),
    ("text", "#1f2328", "#e6edf3"),
    ("grid", "#d0d7de", "#444c56"),
    ("grey", "#57606a", "#adbac7"),
    ("blue", "#0969da", "#539bf5"),
    ("green", "#1a7f37", "#57ab5a"),
    ("red", "#cf222e", "#f47067"),
    ("violet", "#8250df", "#b083f0"),
];

/// Where a text is drawn from: its left end, its middle or its right end.
#[derive(Clone, Copy)]
pub enum From {
    Start,
    Middle,
    End,
}

/// A chart that is being drawn.
pub struct Chart(String);

impl Chart {
    /// An empty card; `name` keeps its ids apart from those of other pictures in a page.
    pub fn new(name: &str, title: &str, desc: &str, [width, height]: [f64; 2]) -> Self {
        let rules = |root: &str| {
            let rule = |(colour, _, dark): &(&str, &str, &str)| {
                format!("{root} .chart-{colour}{{color:{dark}}}\n")
            };
            COLOURS.iter().map(rule).collect::<String>()
        };
        let (system, rustdoc) = (
            rules(":root:not([data-theme])"),
            rules(":root:is([data-theme=dark],[data-theme=ayu])"),
        );
        let (title, desc) = (escaped(title), escaped(desc));
        let mut chart = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" style=\"max-width:100%;height:auto\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" \
             aria-labelledby=\"{name}-title {name}-desc\">\n\
             <title id=\"{name}-title\">{title}</title>\n\
             <desc id=\"{name}-desc\">{desc}</desc>\n\
             <style>\n@media (prefers-color-scheme:dark){{\n{system}}}\n{rustdoc}</style>\n"
        ));
        chart.rect([0.0, 0.0, width, height], "card");
        chart.text([16.0, 28.0], From::Start, "text", &format!("*{title}"));
        chart
    }

    /// A line of text; one that begins with `*` is bold.
    pub fn text(&mut self, [x, y]: [f64; 2], from: From, colour: &str, text: &str) {
        let anchor = match from {
            From::Start => "start",
            From::Middle => "middle",
            From::End => "end",
        };
        let (weight, text) = match text.strip_prefix('*') {
            Some(text) => (" font-weight=\"600\"", text),
            None => ("", text),
        };
        let (look, text) = (look(colour), escaped(text));
        self.line(format_args!(
            "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\"{weight} \
             fill=\"currentColor\" {look}>{text}</text>"
        ));
    }

    pub fn rect(&mut self, [x, y, width, height]: [f64; 4], colour: &str) {
        let look = look(colour);
        self.line(format_args!(
            "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"3\" \
             fill=\"currentColor\" {look}/>"
        ));
    }

    /// A line from point to point.
    pub fn polyline(&mut self, points: &[[f64; 2]], colour: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let (points, look) = (points.join(" "), look(colour));
        self.line(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"currentColor\" \
             stroke-width=\"{width}\" {look}/>"
        ));
    }

    pub fn finish(self) -> String {
        self.0 + "</svg>\n"
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // A string takes whatever is written.
        let _ = writeln!(self.0, "{line}");
    }
}

fn look(colour: &str) -> String {
    let light =
        COLOURS.iter().find(|(name, ..)| *name == colour).map_or("", |(_, light, _)| light);
    format!("class=\"chart-{colour}\" color=\"{light}\"")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A logarithmic scale over whole powers of ten.
pub struct Scale {
    first: i32,
    last: i32,
}

impl Scale {
    /// From the power of ten below all values to the one above them.
    pub fn over(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max).log10().ceil() as i32;
        Self { first: least, last: most.max(least + 1) }
    }

    /// Where a value is, from 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first)
    }

    pub fn powers(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|power| 10_f64.powi(power))
    }
}

/// Nanoseconds in the unit that reads best.
pub fn duration(ns: f64) -> String {
    let (number, unit) = match ns {
        ..1e3 => (ns, "ns"),
        ..1e6 => (ns / 1e3, "µs"),
        _ => (ns / 1e6, "ms"),
    };
    // Two digits at least, except of a whole number.
    if number >= 10.0 || number.fract() < 1e-9 {
        format!("{number:.0} {unit}")
    } else {
        format!("{number:.1} {unit}")
    }
}
