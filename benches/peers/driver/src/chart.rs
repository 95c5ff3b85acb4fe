//! The chart: a bar for each peer on a logarithmic scale, and what it costs in freshness.

use crate::peer::Staleness;
use crate::{Row, duration, median};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 250.0;
const BAR: f64 = 330.0;
const LINE: f64 = 30.0;
const TOP: f64 = 58.0;

/// The picture of the rows, as SVG.
pub fn draw(rows: &[Row]) -> String {
    let times: Vec<f64> = rows.iter().map(|row| median(&row.ns)).collect();
    let longest = times.iter().copied().fold(f64::MIN, f64::max);
    // The scale begins at a power of ten below the shortest.
    let start = 10_f64.powf(times.iter().copied().fold(f64::MAX, f64::min).log10().floor());
    let height = TOP + LINE * rows.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"15\" font-weight=\"600\">\
         What one check of a session costs (logarithmic), and how stale its answer may be</text>\n"
    );
    for (number, (row, ns)) in rows.iter().zip(times).enumerate() {
        let y = TOP + LINE * number as f64;
        let length = BAR * ((ns / start).ln() / (longest / start).ln()).max(0.01);
        let colour = match row.staleness {
            Staleness::None if number == 0 => "#1a7f37",
            Staleness::None => "#57606a",
            Staleness::UpTo(_) | Staleness::NeverNoticed(_) => "#cf222e",
        };
        svg += &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.0}\" height=\"18\" rx=\"3\" \
             fill=\"{colour}\"/>\n\
             <text x=\"{:.0}\" y=\"{}\">{} · {}</text>\n",
            LEFT - 10.0,
            y + 14.0,
            row.name,
            y,
            LEFT + length + 8.0,
            y + 14.0,
            duration(ns),
            stale(row.staleness),
        );
    }
    svg + "</svg>\n"
}

fn stale(staleness: Staleness) -> String {
    match staleness {
        Staleness::None => "fresh".to_owned(),
        Staleness::UpTo(ms) => format!("stale up to {ms:.1} ms"),
        Staleness::NeverNoticed(ms) => format!("still passes after {} s", ms / 1_000),
    }
}
