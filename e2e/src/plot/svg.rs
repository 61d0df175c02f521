//! A plot as SVG: the clusters' requests a second stacked over time, failed ones on top, and a line per mark.

use std::fmt::Write as _;

use super::{FAILED, Series, letter};
use crate::client::Mark;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 56.0;
const RIGHT: f64 = 20.0;
/// Below the time axis: its numbers and title.
const AXIS: f64 = 48.0;
const LINE: f64 = 18.0;
/// Colours that people with any colour vision tell apart; the last is for failed requests.
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];
const FAILED_COLOUR: &str = "#d00000";
const TICKS: usize = 5;

/// The plot as a document of its own.
pub fn svg(title: &str, series: &Series, marks: &[Mark]) -> String {
    let height = TOP + HEIGHT + AXIS + LINE * (marks.len() as f64 + 1.0);
    let full = LEFT + WIDTH + RIGHT;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{full}" height="{height}" viewBox="0 0 {full} {height}" font-family="sans-serif" font-size="12">"#
    );
    let _ = writeln!(out, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##);
    let _ = writeln!(
        out,
        r#"<text x="{LEFT}" y="20" font-size="15">{}</text>"#,
        escape(title)
    );
    let plot = Plot {
        series,
        top: nice(series.highest() as f64 / series.span),
    };
    plot.areas(&mut out);
    plot.axes(&mut out);
    plot.marks(&mut out, marks);
    out.push_str("</svg>\n");
    out
}

struct Plot<'a> {
    series: &'a Series,
    /// Requests a second at the upper end.
    top: f64,
}

impl Plot<'_> {
    fn x(&self, at: f64) -> f64 {
        LEFT + WIDTH * at / self.series.length()
    }

    fn y(&self, rate: f64) -> f64 {
        TOP + HEIGHT * (1.0 - rate / self.top)
    }

    /// One area per row, each standing on the one before, with a legend.
    fn areas(&self, out: &mut String) {
        let span = self.series.span;
        let mut base = vec![0.0; self.series.spans()];
        let mut legend = LEFT;
        for (number, (name, row)) in self.series.rows().enumerate() {
            let colour = if name == FAILED {
                FAILED_COLOUR
            } else {
                COLOURS[number % COLOURS.len()]
            };
            let upper: Vec<f64> = base
                .iter()
                .zip(row)
                .map(|(base, count)| base + *count as f64 / span)
                .collect();
            let mut points = String::new();
            for (at, rate) in upper.iter().enumerate() {
                self.step(&mut points, at, *rate);
            }
            for (at, rate) in base.iter().enumerate().rev() {
                self.step_back(&mut points, at, *rate);
            }
            let _ = writeln!(out, r#"<polygon points="{}" fill="{colour}"/>"#, points.trim_end());
            let sum: usize = row.iter().sum();
            let _ = writeln!(
                out,
                r#"<rect x="{legend}" y="31" width="12" height="12" fill="{colour}"/>"#
            );
            let label = format!("{name}: {sum} requests");
            let _ = writeln!(out, r#"<text x="{}" y="42">{}</text>"#, legend + 17.0, escape(&label));
            legend += 60.0 + 7.0 * label.chars().count() as f64;
            base = upper;
        }
    }

    fn step(&self, points: &mut String, at: usize, rate: f64) {
        let (from, to) = (at as f64 * self.series.span, (at + 1) as f64 * self.series.span);
        let y = self.y(rate);
        let _ = write!(points, "{:.1},{y:.1} {:.1},{y:.1} ", self.x(from), self.x(to));
    }

    fn step_back(&self, points: &mut String, at: usize, rate: f64) {
        let (from, to) = (at as f64 * self.series.span, (at + 1) as f64 * self.series.span);
        let y = self.y(rate);
        let _ = write!(points, "{:.1},{y:.1} {:.1},{y:.1} ", self.x(to), self.x(from));
    }

    fn axes(&self, out: &mut String) {
        let (bottom, right) = (TOP + HEIGHT, LEFT + WIDTH);
        let _ = writeln!(
            out,
            r##"<path d="M{LEFT},{TOP} V{bottom} H{right}" fill="none" stroke="#000000"/>"##
        );
        for tick in 0..=TICKS {
            let share = tick as f64 / TICKS as f64;
            let (rate, at) = (self.top * share, self.series.length() * share);
            let (x, y) = (self.x(at), self.y(rate));
            let _ = writeln!(
                out,
                r#"<text x="{}" y="{:.1}" text-anchor="end">{rate:.0}</text>"#,
                LEFT - 6.0,
                y + 4.0
            );
            let _ = writeln!(
                out,
                r#"<text x="{x:.1}" y="{}" text-anchor="middle">{at:.0}</text>"#,
                bottom + 16.0
            );
        }
        let middle = TOP + HEIGHT / 2.0;
        let _ = writeln!(
            out,
            r#"<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">requests a second</text>"#
        );
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{}" text-anchor="middle">seconds</text>"#,
            LEFT + WIDTH / 2.0,
            bottom + 34.0
        );
    }

    /// A line with a letter per mark, and below the plot what the letters stand for.
    fn marks(&self, out: &mut String, marks: &[Mark]) {
        let bottom = TOP + HEIGHT;
        for (number, mark) in marks.iter().enumerate() {
            let (x, letter) = (self.x(mark.at.min(self.series.length())), letter(number));
            let _ = writeln!(
                out,
                r##"<path d="M{x:.1},{TOP} V{bottom}" stroke="#000000" stroke-dasharray="4 3"/>"##
            );
            let _ = writeln!(
                out,
                r#"<text x="{x:.1}" y="{}" text-anchor="middle" font-weight="bold">{letter}</text>"#,
                TOP - 4.0
            );
            let y = bottom + AXIS + LINE * (number as f64 + 1.0);
            let text = format!("{letter}   {:.1} s   {}", mark.at, mark.text);
            let _ = writeln!(out, r#"<text x="{LEFT}" y="{y}">{}</text>"#, escape(&text));
        }
    }
}

/// The next number above that is 1, 2 or 5 times a power of ten, for the end of an axis.
fn nice(value: f64) -> f64 {
    let value = value.max(1.0);
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0];
    let factor = steps.into_iter().find(|step| step * power >= value);
    factor.unwrap_or(10.0) * power
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    #[test]
    fn the_document_names_rows_and_marks_and_stays_within_its_area() {
        let requests: Vec<_> = (0..=100)
            .map(|at| request(f64::from(at) / 10.0, Ok(if at < 50 { "member-1" } else { "member-2" })))
            .collect();
        let marks = [Mark {
            at: 5.0,
            text: "a < b & c".to_owned(),
        }];
        let series = Series::of(&requests, 20);
        let document = svg("Requests", &series, &marks);
        for part in [
            "member-1: 50 requests",
            "member-2: 51 requests",
            "failed: 0 requests",
            "a &lt; b &amp; c",
        ] {
            assert!(document.contains(part), "{part} in {document}");
        }
        assert_eq!(document.matches("<polygon").count(), 3);
        for points in document.lines().filter(|line| line.starts_with("<polygon")) {
            let points = points.split('"').nth(1).expect("points");
            for point in points.split(' ') {
                let (x, y) = point.split_once(',').expect("a point");
                let (x, y): (f64, f64) = (x.parse().expect("a number"), y.parse().expect("a number"));
                assert!((LEFT..=LEFT + WIDTH).contains(&x), "{point}");
                assert!((TOP..=TOP + HEIGHT).contains(&y), "{point}");
            }
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [
            (0.0, 1.0),
            (9.0, 10.0),
            (11.0, 20.0),
            (201.0, 300.0),
            (450.0, 500.0),
            (501.0, 1000.0),
        ] {
            assert_eq!(nice(value), end);
        }
    }
}
