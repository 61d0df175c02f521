//! Kubernetes quantities such as `100m`, `1.5Gi` or `2e3`.
//!
//! A quantity is a whole number of nano units; what is finer is rounded away from zero, as Kubernetes does. Numbers
//! beyond 1e28 are capped.

use std::cmp::Ordering;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The pattern that schemas put on quantities.
pub const PATTERN: &str = concat!(
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))",
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
);

const NANO: i128 = 1_000_000_000;
/// Largest size, in nano units: no sum of two can overflow.
const CAP: i128 = 10_i128.pow(37);
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The family of suffixes in which a quantity was written and is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `k`, `M`, ... and `m`, `u`, `n`.
    #[default]
    Decimal,
    /// `Ki`, `Mi`, ...
    Binary,
    /// `e3`, `e6`, ...
    Exponent,
}

/// An amount. Comparison uses the value only, not the format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity; the texts are those of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text does not have the form of a quantity.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The suffix is none that is known.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// A whole number, printed with decimal suffixes.
    pub fn from_int(value: i64) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            format: Format::Decimal,
        }
    }

    /// A number of bytes, printed with binary suffixes.
    pub fn from_bytes(value: i64) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            format: Format::Binary,
        }
    }

    /// A number of thousandths, printed with decimal suffixes.
    pub fn from_milli(value: i64) -> Self {
        Self {
            nanos: i128::from(value) * (NANO / 1000),
            format: Format::Decimal,
        }
    }

    /// Whether it is exactly zero.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// The whole number, rounded up; `None` beyond the range.
    pub fn value(self) -> Option<i64> {
        i64::try_from(ceil_div(self.nanos, NANO)).ok()
    }

    /// Thousandths, rounded up; `None` beyond the range.
    pub fn milli_value(self) -> Option<i64> {
        i64::try_from(ceil_div(self.nanos, NANO / 1000)).ok()
    }

    /// The nearest float.
    pub fn approximate_f64(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    fn print_decimal(self, f: &mut std::fmt::Formatter<'_>, exponent_form: bool) -> std::fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let (mut mantissa, mut index) = (self.nanos, 0);
        while mantissa % 1000 == 0 && index + 1 < DECIMAL.len() {
            mantissa /= 1000;
            index += 1;
        }
        let (suffix, exponent) = DECIMAL[index];
        match exponent {
            0 => write!(f, "{mantissa}"),
            _ if exponent_form => write!(f, "{mantissa}e{exponent}"),
            _ => write!(f, "{mantissa}{suffix}"),
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum, in the format of `self` (of `other` when `self` is zero).
    fn add(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self {
            nanos: (self.nanos + other.nanos).clamp(-CAP, CAP),
            format,
        }
    }
}

impl Sub for Quantity {
    type Output = Self;

    /// The difference, in the format of `self` (of `other` when `self` is zero).
    fn sub(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self {
            nanos: (self.nanos - other.nanos).clamp(-CAP, CAP),
            format,
        }
    }
}

/// Division that rounds towards plus infinity.
fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

/// Division that rounds away from zero.
fn away_div(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    if value % by == 0 {
        quotient
    } else {
        quotient + value.signum()
    }
}

impl std::fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that allows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let small = self.nanos.abs() < 1024 * NANO;
        match self.format {
            Format::Exponent => self.print_decimal(f, true),
            Format::Decimal => self.print_decimal(f, false),
            Format::Binary if small => self.print_decimal(f, false),
            Format::Binary => {
                let (mut mantissa, mut steps) = (away_div(self.nanos, NANO), 0);
                while mantissa % 1024 == 0 && steps < BINARY.len() {
                    mantissa /= 1024;
                    steps += 1;
                }
                write!(f, "{mantissa}{}", if steps == 0 { "" } else { BINARY[steps - 1] })
            }
        }
    }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseError::Format);
        }
        let (format, binary_steps, exponent) = parse_suffix(suffix)?;
        let digits = format!("{whole}{fraction}");
        let scale = exponent
            .saturating_sub(i32::try_from(fraction.len()).unwrap_or(i32::MAX))
            .saturating_add(9);
        let factor = 1_i128 << (10 * binary_steps);
        let size = scale_digits(digits.trim_start_matches('0'), scale, factor);
        Ok(Self {
            nanos: if negative { -size } else { size },
            format,
        })
    }
}

/// Format, number of factors 1024, and power of ten of a suffix.
fn parse_suffix(suffix: &str) -> Result<(Format, u32, i32), ParseError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(text, _)| *text == suffix) {
        return Ok((Format::Decimal, 0, *exponent));
    }
    if let Some(step) = (1..)
        .zip(BINARY)
        .find_map(|(step, text)| (text == suffix).then_some(step))
    {
        return Ok((Format::Binary, step, 0));
    }
    let rest = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    if !rest.chars().all(|c| c.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    let exponent = suffix
        .strip_prefix(['e', 'E'])
        .and_then(|exponent| exponent.parse().ok());
    exponent.map(|e| (Format::Exponent, 0, e)).ok_or(ParseError::Suffix)
}

/// `digits * factor * 10^scale`, rounded up, capped.
fn scale_digits(digits: &str, scale: i32, factor: i128) -> i128 {
    if digits.is_empty() {
        return 0;
    }
    // More than 60 places to the right leave nothing but a rounding up.
    let drop = if scale < 0 {
        usize::try_from(-i64::from(scale)).unwrap_or(usize::MAX)
    } else {
        0
    };
    let lossy = digits.len() > 30;
    let Ok(mut value) = digits[..digits.len().min(30)].parse::<i128>() else {
        return CAP;
    };
    let mut left = i64::from(scale) + i64::try_from(digits.len().saturating_sub(30)).unwrap_or(i64::MAX);
    value = value.saturating_mul(factor).min(CAP);
    let mut rest = lossy && drop > 0;
    while left > 0 && value < CAP {
        value = value.saturating_mul(10).min(CAP);
        left -= 1;
    }
    while left < 0 {
        rest |= value % 10 != 0;
        value /= 10;
        left += 1;
        if value == 0 {
            rest = true;
            break;
        }
    }
    value + i128::from(rest)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Accepts a text or a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            other => return Err(serde::de::Error::custom(format!("{other} is not a quantity"))),
        };
        text.trim().parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "pattern": PATTERN,
            "x-kubernetes-int-or-string": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn q(text: &str) -> Quantity {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn canonical_forms() {
        let table = [
            ("0", "0"),
            ("-0", "0"),
            ("0Mi", "0"),
            ("00.50", "500m"),
            ("1", "1"),
            ("+5", "5"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("-1500m", "-1500m"),
            ("100m", "100m"),
            ("1u", "1u"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("1.0000000001", "1000000001n"),
            ("12e6", "12e6"),
            ("12E6", "12e6"),
            ("1e3", "1e3"),
            ("1234e-3", "1234e-3"),
            ("1e-1", "100e-3"),
            ("1E", "1E"),
            ("12Ei", "12Ei"),
            ("1Ki", "1Ki"),
            ("1024Ki", "1Mi"),
            ("1000Mi", "1000Mi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1.1Ki", "1127"),
            ("-1.5Gi", "-1536Mi"),
            ("16393244Ki", "16393244Ki"),
            ("000000000000000000000000000000000000000000000000000000000000001", "1"),
            (
                "0.000000000000000000000000000000000000000000000000000000000000001",
                "1n",
            ),
        ];
        for (text, canonical) in table {
            assert_eq!(q(text).to_string(), canonical, "{text}");
            // A binary quantity prints no fraction; everything else keeps its value.
            assert!(
                q(canonical) == q(text) || text == "1.1Ki",
                "{canonical} means the same as {text}"
            );
        }
    }

    #[test]
    fn refusals() {
        use ParseError::{Format, Suffix};
        let table = [
            ("", Format),
            ("-", Format),
            (".", Format),
            ("1.2.3", Format),
            ("1 ", Format),
            (" 1", Format),
            ("a", Format),
            ("1mm", Suffix),
            ("1ki", Suffix),
            ("1K", Suffix),
            ("1kk", Suffix),
            ("1e", Suffix),
            ("1e1.5", Format),
            ("1x", Format),
            ("--1", Format),
            ("1i", Suffix),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Quantity>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn order_and_arithmetic() {
        let ascending = [
            "-1Ki", "-1", "-1m", "0", "1n", "1m", "0.5", "1", "1k", "1Ki", "1M", "1Mi", "1e12", "1Ti", "1E",
        ];
        for pair in ascending.windows(2) {
            assert!(q(pair[0]) < q(pair[1]), "{pair:?}");
        }
        assert_eq!(q("1024"), q("1Ki"));
        assert_eq!((q("1500m") + q("500m")).to_string(), "2");
        assert_eq!((q("1Gi") - q("512Mi")).to_string(), "512Mi");
        assert_eq!(
            (q("0") + q("1Gi")).to_string(),
            "1Gi",
            "zero takes over the other's format"
        );
        assert_eq!((q("2") - q("1Ki")).to_string(), "-1022");
        assert_eq!(q("1e60") + q("1e60"), q("1e60"), "capped, not wrapped");
        assert!((q("1") - q("1")).is_zero());
    }

    #[test]
    fn numbers() {
        assert_eq!((q("1500m").value(), q("1500m").milli_value()), (Some(2), Some(1500)));
        assert_eq!((q("-1500m").value(), q("1n").milli_value()), (Some(-1), Some(1)));
        assert_eq!(q("1e60").value(), None);
        assert!((q("1500m").approximate_f64() - 1.5).abs() < 1e-12);
        assert_eq!(Quantity::from_bytes(1 << 20).to_string(), "1Mi");
        assert_eq!(Quantity::from_milli(2500).to_string(), "2500m");
        assert_eq!(Quantity::from_int(2000).to_string(), "2k");
        let read: Vec<Quantity> = serde_json::from_value(json!(["1.5Gi", 3, 0.5])).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json!(["1536Mi", "3", "500m"]));
        assert!(serde_json::from_value::<Quantity>(json!([])).is_err());
    }

    proptest::proptest! {
        #[test]
        fn canonical_forms_read_back(value in proptest::num::i64::ANY, exponent in 0_u32..12, format in 0_usize..3) {
            let nanos = i128::from(value) * 10_i128.pow(exponent);
            let format = [Format::Decimal, Format::Binary, Format::Exponent][format];
            let whole = if format == Format::Binary { nanos / NANO * NANO } else { nanos };
            let quantity = Quantity { nanos: whole, format };
            let text = quantity.to_string();
            proptest::prop_assert_eq!(q(&text), quantity, "{}", text);
            // A binary quantity without suffix reads back as a decimal one.
            proptest::prop_assert!(format == Format::Binary || q(&text).to_string() == text);
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.]{0,40}[eEKMGimnu]{0,2}[-+]?[0-9]{0,12}") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                let again = q(&quantity.to_string());
                proptest::prop_assert!(again == quantity || quantity.format == Format::Binary);
            }
        }
    }
}
