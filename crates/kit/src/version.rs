//! Resource versions, compared.

/// Whether both are numbers and `a` is the smaller one.
pub(crate) fn is_older(a: &str, b: &str) -> bool {
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => (a.len(), a) < (b.len(), b),
        _ => false,
    }
}

/// Whether resource version `a` is newer than `b`. They are numbers too large for a machine word to be relied on.
/// Versions that are no numbers cannot be compared; then the later one counts.
pub fn is_newer(a: &str, b: &str) -> bool {
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => (a.len(), a) > (b.len(), b),
        _ => a != b || a.is_empty(),
    }
}

/// A number without leading zeros.
fn digits(text: &str) -> Option<&str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (a, b, newer, older) in [
            ("10", "9", true, false),
            ("9", "10", false, true),
            ("9", "9", false, false),
            ("123456789012345678901234567890", "5", true, false),
            ("x", "5", true, false),
            ("x", "x", false, false),
            ("", "5", true, false),
        ] {
            assert_eq!((is_newer(a, b), is_older(a, b)), (newer, older), "{a} {b}");
        }
    }
}
