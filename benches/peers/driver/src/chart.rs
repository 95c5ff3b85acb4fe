//! The chart: a bar for each peer on a logarithmic scale of time, and how stale its answer may be.

use crate::peer::Staleness;
use crate::svg::{Chart, From, Scale, duration};
use crate::{Row, median};

const WIDTH: f64 = 1_010.0;
const LEFT: f64 = 310.0;
const BAR: f64 = 320.0;
/// Where the column of the staleness begins; the time is written between the bars and it.
const STALE: f64 = LEFT + BAR + 80.0;
const LINE: f64 = 28.0;
const TOP: f64 = 102.0;

/// The picture of the rows, the quickest first, as SVG.
pub fn draw(rows: &[Row]) -> String {
    let mut rows: Vec<(&Row, f64)> = rows.iter().map(|row| (row, median(&row.ns))).collect();
    rows.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let times: Vec<f64> = rows.iter().map(|(_, ns)| *ns).collect();
    let scale = Scale::over(&times);
    let bottom = TOP + LINE * rows.len() as f64;
    let said: Vec<String> = rows
        .iter()
        .map(|(row, ns)| format!("{}: {}, {}", row.name, duration(*ns), row.staleness.in_words()))
        .collect();
    let title = "What one check of a session costs, and how long a revoked session is accepted";
    let mut chart = Chart::new("peers", title, &said.join(". "), [WIDTH, bottom + 40.0]);
    chart.text([LEFT, 62.0], From::Start, "grey", "time of one check of a session");
    chart.text([LEFT, 78.0], From::Start, "grey", "(logarithmic scale, less is better)");
    chart.text([STALE, 62.0], From::Start, "grey", "a session that was revoked in another");
    chart.text([STALE, 78.0], From::Start, "grey", "process is accepted");
    for power in scale.powers() {
        let x = LEFT + BAR * scale.place(power);
        chart.polyline(&[[x, TOP - 10.0], [x, bottom]], "grid", 1.0);
        chart.text([x, bottom + 18.0], From::Middle, "grey", &duration(power));
    }
    for (number, (row, ns)) in rows.iter().enumerate() {
        let y = TOP + LINE * number as f64;
        let is_ours = row.name == "Gatepost";
        let (bar, stale) = match row.staleness {
            Staleness::None if is_ours => ("green", "green"),
            Staleness::None => ("grey", "green"),
            Staleness::UpTo(_) | Staleness::NeverNoticed { .. } => ("grey", "red"),
        };
        let weight = if is_ours { "*" } else { "" };
        let length = BAR * scale.place(*ns);
        chart.text([LEFT - 10.0, y + 14.0], From::End, "text", &format!("{weight}{}", row.name));
        chart.rect([LEFT, y, length.max(2.0), 18.0], bar);
        let time = format!("{weight}{}", duration(*ns));
        chart.text([LEFT + length + 8.0, y + 14.0], From::Start, "text", &time);
        let words = format!("{weight}{}", row.staleness.in_words());
        chart.text([STALE, y + 14.0], From::Start, stale, &words);
    }
    chart.finish()
}
