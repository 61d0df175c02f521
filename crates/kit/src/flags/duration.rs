//! Go's notation of durations.

use std::time::Duration;

/// Reads a duration such as `1h30m`, `1.5s`, `300ms` or `0`. Negative ones are refused, as no setting of ours has a use
/// for them.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    // Whole nanoseconds, so that 300ms is exactly that.
    Duration::try_from_secs_f64(total)
        .ok()
        .map(|d| Duration::from_nanos(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, expected) in [
            ("6h", Some(21_600_000)),
            ("1h15m30s", Some(4_530_000)),
            ("1.5s", Some(1500)),
            (".5s", Some(500)),
            ("300ms", Some(300)),
            ("2000us", Some(2)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("5 s", None),
            ("1d", None),
            ("s", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }
}
