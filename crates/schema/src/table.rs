//! Cells of printed tables.

use jiff::Timestamp;
use serde_json::Value;

/// The cell of a printer column of type `kind` for a value that its path found; null if there is none or it does not fit.
pub fn cell(kind: &str, value: Option<&Value>, now: Timestamp) -> Value {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Value::Null;
    };
    match kind {
        "integer" => value.as_f64().map_or(Value::Null, |number| {
            if value.is_i64() || value.is_u64() {
                value.clone()
            } else {
                whole(number)
            }
        }),
        "number" if value.is_number() => value.clone(),
        "boolean" if value.is_boolean() => value.clone(),
        "date" => value.as_str().map_or(Value::Null, |text| Value::String(age(text, now))),
        "string" => Value::String(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        _ => Value::Null,
    }
}

/// How long ago a time is, as tables print it: `5s`, `12m`, `3d4h`; `<unknown>` for no time, `<invalid>` for what is none.
pub fn age(time: &str, now: Timestamp) -> String {
    if time.is_empty() {
        return "<unknown>".to_owned();
    }
    let Ok(time) = time.parse::<Timestamp>() else {
        return "<invalid>".to_owned();
    };
    human_duration(now.duration_since(time).as_secs())
}

/// A duration in seconds in the short form of tables, coarser the longer it is.
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    // Clocks may differ a little: what lies less than two seconds ahead is now.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        let rest = seconds % big / small;
        if rest == 0 {
            format!("{}{big_unit}", seconds / big)
        } else {
            format!("{}{big_unit}{rest}{small_unit}", seconds / big)
        }
    };
    match seconds {
        ..0 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(MINUTE, "m", 1, "s"),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(HOUR, "h", MINUTE, "m"),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn whole(number: f64) -> Value {
    // Columns of type integer cut fractions off; JSON numbers beyond the range of integers do not occur there.
    #[allow(clippy::cast_possible_truncation)]
    Value::from(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_get_coarser() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (27_060, "7h31m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (66_000_000, "2y33d"),
            (300_000_000, "9y"),
        ];
        for (seconds, want) in cases {
            assert_eq!(human_duration(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn cells_follow_the_column_type() {
        let now: Timestamp = "2026-01-02T00:05:00Z".parse().unwrap();
        let cases = [
            ("string", json!("x"), json!("x")),
            ("string", json!(3), json!("3")),
            ("integer", json!(3), json!(3)),
            ("integer", json!(3.7), json!(3)),
            ("integer", json!("3"), json!(null)),
            ("number", json!(3.5), json!(3.5)),
            ("boolean", json!(true), json!(true)),
            ("date", json!("2026-01-02T00:00:00Z"), json!("5m")),
            ("date", json!("never"), json!("<invalid>")),
            ("date", json!(""), json!("<unknown>")),
        ];
        for (kind, value, want) in cases {
            assert_eq!(cell(kind, Some(&value), now), want, "{kind} {value}");
        }
        assert_eq!(cell("string", None, now), Value::Null);
    }
}
