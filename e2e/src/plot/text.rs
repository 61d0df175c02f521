//! A plot for terminals and logs: a row of bars per cluster, and the marks below.

use std::fmt::Write as _;

use super::{FAILED, Series, letter};
use crate::client::Mark;

/// From a low to a full bar; nothing is a blank.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The plot, one line per row, and below it when each mark was set.
pub fn text(series: &Series, marks: &[Mark]) -> String {
    let names = series.rows().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or(0);
    let highest = series.highest();
    let mut out = String::new();
    // Writing to a string cannot fail.
    for (name, row) in series.rows() {
        let sum: usize = row.iter().sum();
        if name == FAILED && sum == 0 {
            let _ = writeln!(out, "{name:<width$}  none");
            continue;
        }
        let bars: String = row.iter().map(|count| bar(*count, highest)).collect();
        let _ = writeln!(out, "{name:<width$} |{bars}| {sum} requests");
    }
    if !marks.is_empty() {
        let _ = writeln!(out, "{:width$} |{}|", "", letters(series, marks));
    }
    let _ = writeln!(
        out,
        "{:width$}  {:.1} s, a column is {:.2} s, a full bar {highest} requests",
        "",
        series.length(),
        series.span
    );
    for (number, mark) in marks.iter().enumerate() {
        let _ = writeln!(out, "  {}  {:6.1} s  {}", letter(number), mark.at, mark.text);
    }
    out
}

fn bar(count: usize, highest: usize) -> char {
    if count == 0 {
        return ' ';
    }
    let step = (count * BARS.len()).div_ceil(highest.max(1)).clamp(1, BARS.len());
    BARS[step - 1]
}

/// The letter of each mark under its column. Of those that share one the last is shown.
fn letters(series: &Series, marks: &[Mark]) -> String {
    let mut line = vec![' '; series.spans()];
    for (number, mark) in marks.iter().enumerate() {
        line[series.span_of(mark)] = letter(number);
    }
    line.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    #[test]
    fn the_plot_shows_who_answered_when() {
        let mut requests: Vec<_> = (0..8).map(|at| request(f64::from(at), Ok("member-1"))).collect();
        requests.extend((4..8).map(|at| request(f64::from(at), Ok("member-2"))));
        let marks = [Mark {
            at: 4.0,
            text: "member-2 joins".to_owned(),
        }];
        let shown = text(&Series::of(&requests, 4), &marks);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "member-1 |▄▄▄▄| 8 requests");
        assert_eq!(lines[1], "member-2 |  ▄▄| 4 requests");
        assert_eq!(lines[2], "failed    none");
        assert_eq!(lines[3], "         |  a |");
        assert_eq!(lines[5], "  a     4.0 s  member-2 joins");
        let failed = text(&Series::of(&[request(0.0, Err("refused"))], 2), &[]);
        assert!(failed.starts_with("failed |█ | 1 requests"), "{failed}");
    }
}
