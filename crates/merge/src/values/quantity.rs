//! The size of a quantity as Kubernetes reads it.

const NANO_DIGITS: i32 = 9;

/// The size in nano units, finer parts rounded away from zero; `None` for what is no quantity or beyond all sizes in use.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let (binary, decimal) = scale(suffix)?;
    let size = mantissa.checked_mul(1_i128.checked_shl(binary)?)?;
    let exponent = decimal + NANO_DIGITS - i32::try_from(fraction.len()).ok()?;
    let size = match u32::try_from(exponent) {
        Ok(up) => size.checked_mul(10_i128.checked_pow(up)?)?,
        // Below what any 128-bit number holds, all that is left is that it is not zero.
        Err(_) => match 10_i128.checked_pow(exponent.unsigned_abs()) {
            Some(divisor) => size / divisor + i128::from(size % divisor != 0),
            None => i128::from(size != 0),
        },
    };
    Some(if negative { -size } else { size })
}

/// The powers of two and of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    let decimal = match suffix {
        "Ki" => return Some((10, 0)),
        "Mi" => return Some((20, 0)),
        "Gi" => return Some((30, 0)),
        "Ti" => return Some((40, 0)),
        "Pi" => return Some((50, 0)),
        "Ei" => return Some((60, 0)),
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    Some((0, decimal))
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn sizes() {
        let cases = [
            ("1", Some(1_000_000_000)),
            ("1500m", Some(1_500_000_000)),
            ("1.5", Some(1_500_000_000)),
            (".5", Some(500_000_000)),
            ("5.", Some(5_000_000_000)),
            ("-1.50", Some(-1_500_000_000)),
            ("+1n", Some(1)),
            ("0.1n", Some(1)),
            ("-0.1n", Some(-1)),
            ("1e3", Some(1_000_000_000_000)),
            ("1E-3", Some(1_000_000)),
            ("1Ki", Some(1_024_000_000_000)),
            ("0.5Ki", Some(512_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000_000_000_000)),
            ("0e-99", Some(0)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("1kB", None),
            ("1e", None),
            ("ten", None),
            ("1e99", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(nanos(text), wanted, "{text}");
        }
    }
}
