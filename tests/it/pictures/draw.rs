//! A picture as text, as shapes, and as an SVG.
//!
//! A line of the text is one of these; a line that begins with `#` is a comment.
//!
//! ```text
//! title TEXT                          drawn at the top, and read by a screen reader
//! desc TEXT                           read by a screen reader; several lines are joined
//! size WxH                            of the whole picture
//! box NAME X,Y WxH COLOUR | A | B     a filled box with two lines of text; `*A` is bold
//! frame NAME X,Y WxH COLOUR | A | B   the same with a dashed edge; other boxes may lie in it
//! note X,Y | A | B                    lines of text without a box
//! arrow FROM TO [@N] | A | B          between two boxes; N is the x of an upright arrow, or the
//!                                     y of a level one
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use super::text_width;

const LINE_HEIGHT: f64 = 18.0;
const PADDING: f64 = 10.0;
/// Left, top, right and bottom edge.
pub(crate) type Rect = [f64; 4];

/// Each colour: its name, fill and edge on a light page, fill and edge on a dark page.
#[rustfmt::skip]
const COLOURS: &[(&str, [&str; 4])] = &[
    ("card",   ["#ffffff", "#d0d7de", "#1c2128", "#444c56"]),
    ("plain",  ["#f6f8fa", "#8c959f", "#2d333b", "#768390"]),
    ("blue",   ["#ddf4ff", "#0969da", "#12314f", "#539bf5"]),
    ("green",  ["#dafbe1", "#1a7f37", "#16361f", "#57ab5a"]),
    ("red",    ["#ffebe9", "#cf222e", "#4a1e1e", "#f47067"]),
    ("amber",  ["#fff8c5", "#9a6700", "#3d3210", "#c69026"]),
    ("violet", ["#fbefff", "#8250df", "#35264f", "#b083f0"]),
    ("line",   ["none",    "#57606a", "none",    "#adbac7"]),
    ("tip",    ["#57606a", "none",    "#adbac7", "none"]),
    ("text",   ["#1f2328", "none",    "#e6edf3", "none"]),
];

#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) desc: String,
    pub(crate) size: [f64; 2],
    pub(crate) boxes: BTreeMap<String, Shape>,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) texts: Vec<Text>,
}

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) place: Rect,
    pub(crate) is_frame: bool,
    colour: String,
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Two ends, and a corner between them if the boxes lie askew.
    pub(crate) points: Vec<[f64; 2]>,
}

/// One line of text, and the box that it must fit into.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    at: [f64; 2],
    is_bold: bool,
    pub(crate) inside: Option<Rect>,
}

impl Text {
    pub(crate) fn place(&self) -> Rect {
        let [x, y] = self.at;
        [x, y - 11.0, x + text_width(&self.text, self.is_bold), y + 4.0]
    }
}

impl Picture {
    /// # Errors
    /// The line that is none of the above.
    pub(crate) fn read(source: &str) -> Result<Self, String> {
        let mut picture = Self::default();
        for (number, line) in source.lines().enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                picture.add(line).ok_or_else(|| format!("line {}: {line}", number + 1))?;
            }
        }
        let title = format!("*{}", picture.title);
        picture.write(&[&title], [20.0, 30.0], None);
        Ok(picture)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "title" => self.title = rest.into(),
            "desc" if self.desc.is_empty() => self.desc = rest.into(),
            "desc" => self.desc = format!("{} {rest}", self.desc),
            "size" => self.size = pair(rest, 'x')?,
            _ => {
                let (words, text) = rest.split_once(" | ").unwrap_or((rest, ""));
                let words: Vec<&str> = words.split_whitespace().collect();
                let lines: Vec<&str> = text.split(" | ").filter(|line| !line.is_empty()).collect();
                match (kind, words.as_slice()) {
                    ("box" | "frame", [name, at, size, colour]) => {
                        let ([x, y], [w, h]) = (pair(at, ',')?, pair(size, 'x')?);
                        let place = [x, y, x + w, y + h];
                        COLOURS.iter().find(|(known, _)| known == colour)?;
                        let is_frame = kind == "frame";
                        // A frame is labelled at its top, the text of a box is in its middle.
                        let spare = (h - LINE_HEIGHT * lines.len() as f64) / 2.0;
                        let top = y + if is_frame { 6.0 } else { spare } + 13.0;
                        self.write(&lines, [x + PADDING, top], Some(place));
                        let shape = Shape { place, is_frame, colour: (*colour).into() };
                        let before = self.boxes.insert((*name).into(), shape);
                        return before.is_none().then_some(());
                    }
                    ("note", [at]) => self.write(&lines, pair(at, ',')?, None),
                    ("arrow", [from, to, rest @ ..]) => {
                        let at = match rest {
                            [] => None,
                            [at] => Some(at.strip_prefix('@')?.parse().ok()?),
                            _ => return None,
                        };
                        let (a, b) = (self.boxes.get(*from)?.place, self.boxes.get(*to)?.place);
                        let points = way(a, b, at);
                        self.label(&lines, &points);
                        let (from, to) = ((*from).into(), (*to).into());
                        self.arrows.push(Arrow { from, to, points });
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }

    fn write(&mut self, lines: &[&str], at: [f64; 2], inside: Option<Rect>) {
        let mut y = at[1];
        for line in lines {
            let bold = line.strip_prefix('*');
            let (text, is_bold) = (bold.unwrap_or(line).to_owned(), bold.is_some());
            self.texts.push(Text { text, at: [at[0], y], is_bold, inside });
            y += LINE_HEIGHT;
        }
    }

    /// Above the middle of a level arrow, or to the right of the middle of an upright one.
    fn label(&mut self, lines: &[&str], points: &[[f64; 2]]) {
        let &[[x0, y0], [x1, y1], ..] = points else { return };
        let down = LINE_HEIGHT * (lines.len() as f64 - 1.0);
        let middle = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
        if (x0 - x1).abs() < 0.5 {
            self.write(lines, [x0 + 8.0, middle[1] + 4.0 - down / 2.0], None);
        } else {
            let widest = lines.iter().map(|line| text_width(line, false)).fold(0.0, f64::max);
            self.write(lines, [middle[0] - widest / 2.0, y0 - 7.0 - down], None);
        }
    }

    /// The SVG: colours of a light page as attributes, those of a dark page in a style sheet, which
    /// follows rustdoc's theme in a page of rustdoc and the system's scheme elsewhere. Without an
    /// empty line, as that would end the HTML in a page of Markdown.
    pub(crate) fn svg(&self, name: &str) -> String {
        let mut svg = String::new();
        let [w, h] = self.size;
        let (title, desc) = (escaped(&self.title), escaped(&self.desc));
        let mut line = |text: String| writeln!(svg, "{text}").expect("a string can be written");
        line(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" style=\"max-width:100%;height:auto\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" \
             aria-labelledby=\"{name}-title {name}-desc\">"
        ));
        line(format!("<title id=\"{name}-title\">{title}</title>"));
        line(format!("<desc id=\"{name}-desc\">{desc}</desc>"));
        line(format!("<style>\n{}</style>", style()));
        let card = [0.5, 0.5, w - 0.5, h - 0.5];
        line(rect(card, "card", false));
        // Frames first: other boxes may lie in them.
        for is_frame in [true, false] {
            let shapes = self.boxes.values().filter(|shape| shape.is_frame == is_frame);
            shapes.for_each(|shape| line(rect(shape.place, &shape.colour, is_frame)));
        }
        for arrow in &self.arrows {
            let points: Vec<_> = arrow.points.iter().map(|[x, y]| format!("{x},{y}")).collect();
            let (points, look) = (points.join(" "), look("line"));
            line(format!("<polyline points=\"{points}\" stroke-width=\"1.5\" {look}/>"));
            line(format!("<polygon points=\"{}\" {}/>", tip(&arrow.points), self::look("tip")));
        }
        for text in &self.texts {
            let weight = if text.is_bold { " font-weight=\"600\"" } else { "" };
            let ([x, y], look, text) = (text.at, look("text"), escaped(&text.text));
            line(format!("<text x=\"{x}\" y=\"{y}\"{weight} {look}>{text}</text>"));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn pair(text: &str, between: char) -> Option<[f64; 2]> {
    let (a, b) = text.split_once(between)?;
    Some([a.parse().ok()?, b.parse().ok()?])
}

/// From edge to edge: upright or level where the boxes face each other, else with one corner.
fn way(a: Rect, b: Rect, at: Option<f64>) -> Vec<[f64; 2]> {
    let shared = |low: usize| (a[low].max(b[low]), a[low + 2].min(b[low + 2]));
    let ((left, right), (top, bottom)) = (shared(0), shared(1));
    if left < right {
        let x = at.unwrap_or((left + right) / 2.0);
        let (from, to) = if a[3] <= b[1] { (a[3], b[1]) } else { (a[1], b[3]) };
        vec![[x, from], [x, to]]
    } else if top < bottom {
        let y = at.unwrap_or((top + bottom) / 2.0);
        let (from, to) = if a[2] <= b[0] { (a[2], b[0]) } else { (a[0], b[2]) };
        vec![[from, y], [to, y]]
    } else {
        let x = at.unwrap_or((b[0] + b[2]) / 2.0);
        let (from, y) = (if a[2] <= b[0] { a[2] } else { a[0] }, (a[1] + a[3]) / 2.0);
        vec![[from, y], [x, y], [x, if a[3] <= b[1] { b[1] } else { b[3] }]]
    }
}

fn tip(points: &[[f64; 2]]) -> String {
    let [.., [x0, y0], [x, y]] = points else { return String::new() };
    let (dx, dy) = (8.0 * sign(x - x0), 8.0 * sign(y - y0));
    let ends = [[x - dx + dy / 2.0, y - dy + dx / 2.0], [x - dx - dy / 2.0, y - dy - dx / 2.0]];
    let [[ax, ay], [bx, by]] = ends;
    format!("{x},{y} {ax},{ay} {bx},{by}")
}

fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

fn rect([left, top, right, bottom]: Rect, colour: &str, is_frame: bool) -> String {
    let (w, h, look) = (right - left, bottom - top, look(colour));
    let dashes = if is_frame { " stroke-dasharray=\"5 4\"" } else { "" };
    format!(
        "<rect x=\"{left}\" y=\"{top}\" width=\"{w}\" height=\"{h}\" rx=\"6\"{dashes} {look}/>"
    )
}

fn look(colour: &str) -> String {
    let (_, [fill, edge, ..]) =
        COLOURS.iter().find(|(name, _)| *name == colour).expect("a known colour");
    format!("class=\"picture-{colour}\" fill=\"{fill}\" stroke=\"{edge}\"")
}

fn style() -> String {
    let rules = |root: &str| {
        let rule = |(name, [.., fill, edge]): &(&str, [&str; 4])| {
            format!("{root} .picture-{name}{{fill:{fill};stroke:{edge}}}\n")
        };
        COLOURS.iter().map(rule).collect::<String>()
    };
    format!(
        "@media (prefers-color-scheme:dark){{\n{}}}\n{}",
        rules(":root:not([data-theme])"),
        rules(":root:is([data-theme=dark],[data-theme=ayu])")
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
