//! The weight annotation of a ServiceExport (networking 9.2).

/// Heaviest weight of an export.
const MAX: i64 = 1000;

/// The weight that an annotation stands for; absent means 1. The number has the form that Go's `Atoi` takes: an
/// optional sign and decimal digits, nothing else.
///
/// # Errors
/// A text that goes into the condition's message, when it is no integer or out of range.
pub fn weight(annotation: Option<&str>) -> Result<i64, String> {
    let Some(text) = annotation else { return Ok(1) };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number: Option<i64> = decimal.then(|| text.parse().ok()).flatten();
    match number {
        Some(number) if (0..=MAX).contains(&number) => Ok(number),
        Some(_) => Err(format!("the weight annotation is not in the range [0, {MAX}]: {text}")),
        None => Err(format!("the weight annotation is not a valid integer: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn annotation_values() {
        for (text, expected) in [("0", 0), ("1000", 1000), ("+5", 5), ("007", 7)] {
            assert_eq!(weight(Some(text)), Ok(expected), "{text}");
        }
        assert_eq!(weight(None), Ok(1));
        for text in ["1001", "-1"] {
            assert!(
                weight(Some(text)).unwrap_err().contains("not in the range [0, 1000]"),
                "{text}"
            );
        }
        for text in ["", " 5", "1e3", "1_0", "+", "99999999999999999999"] {
            assert!(
                weight(Some(text)).unwrap_err().contains("not a valid integer"),
                "{text}"
            );
        }
    }
}
